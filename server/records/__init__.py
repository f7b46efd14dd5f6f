"""Journal, progress and result of a run; start with journal.py."""
