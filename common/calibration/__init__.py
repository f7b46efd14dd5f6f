"""Calibration of predictions from hospitals' sums; start with part.py."""
