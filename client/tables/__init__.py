"""Files of tables at a hospital, read or refused with the cause; start with sources.py."""
