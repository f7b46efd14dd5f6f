"""Predictions for a hospital's patients, from an adopted release; start with forecast.py."""
