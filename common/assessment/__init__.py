"""Sums of a hospital about a trained model, part by part; start with part.py."""
