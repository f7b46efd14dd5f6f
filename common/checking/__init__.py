"""Checks of a federation file before anybody is asked; start with checking.py."""
