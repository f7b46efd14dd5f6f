"""Comparison of hospitals by their sums, and mistaken units; start with hospitals.py."""
