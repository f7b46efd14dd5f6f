"""Benchmark of intervals and calibration on held-out patients; start with bench.py."""
