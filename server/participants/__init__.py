"""Enrolled hospitals and those with a part in a run; start with roster.py."""
