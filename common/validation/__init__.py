"""Validation of predicted risks against outcomes of patients; start with figures.py."""
