"""Intervals of predictions with a stated coverage, from hospitals' sums; start with part.py."""
