"""Benchmark of explanations against what they should follow; start with bench.py."""
