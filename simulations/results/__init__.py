"""The result file and its schema; start with schema.py."""
