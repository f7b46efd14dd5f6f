"""Checks of patients' tables against those of training patients; start with part.py."""
