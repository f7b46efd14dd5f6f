"""Sentences and tables on an experiment; start with text.py."""
