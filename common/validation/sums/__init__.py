"""Sums of hospitals for a model's validation, and their table; start with part.py."""
