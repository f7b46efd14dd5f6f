"""Commands of researchers: describe, privacy and bench; start with describe.py."""
