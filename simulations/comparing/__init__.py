"""Comparison of two results, or of two runs, by paired differences; start with pairing.py."""
