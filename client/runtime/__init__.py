"""Processes of a running site; start with services.py."""
