"""Stopwatches and reference data of all benchmarks; start with stopwatch.py."""
