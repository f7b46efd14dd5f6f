"""Losses and exact sums as they leave without differential privacy; start with losses.py."""
