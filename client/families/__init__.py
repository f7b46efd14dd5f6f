"""Families of records at a hospital: reading, passport, approval; start with reader.py."""
