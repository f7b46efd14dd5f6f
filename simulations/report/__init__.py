"""Terminal output and the page of an experiment; start with page.py."""
