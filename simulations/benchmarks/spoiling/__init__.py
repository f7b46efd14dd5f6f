"""Benchmark of warnings about tables that were spoilt on purpose; start with bench.py."""
