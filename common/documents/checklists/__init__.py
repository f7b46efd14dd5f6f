"""Reporting checklists with answers from a release; start with checklist.py."""
