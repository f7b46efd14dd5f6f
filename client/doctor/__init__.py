"""Checks of `consilium site doctor`, with remedies; start with examination.py."""
