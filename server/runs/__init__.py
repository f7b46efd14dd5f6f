"""The rounds of a run; start with coordination.py."""
