"""Gate that every message of the app passes on its way out; start with gate.py."""
