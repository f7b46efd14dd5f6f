"""The `consilium coordinator` commands; start with run.py."""
