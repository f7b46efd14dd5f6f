"""Families of records: everything that depends on the kind of record; start with family.py."""
