"""Validation of an adopted release on labelled records; start with report.py."""
