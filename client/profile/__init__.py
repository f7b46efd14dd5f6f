"""Profile of a hospital's own columns, which never leaves it; start with profile.py."""
