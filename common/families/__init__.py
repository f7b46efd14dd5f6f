"""Families of records: all that coordinator and hospitals ask of what is trained on; start with family.py."""
