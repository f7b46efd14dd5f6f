"""Documents, and the programs that draw them; start with rooms.py."""
