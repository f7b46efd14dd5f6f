"""Progress and results on a terminal or in a notebook; start with terminal.py."""
