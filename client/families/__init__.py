"""A hospital's side of every family of records: reading, passport and approval; start with reader.py."""
