"""Metrics of predictions on held-out patients; start with predictions.py."""
