"""Local training and evaluation on the hospital's device; start with local.py."""
