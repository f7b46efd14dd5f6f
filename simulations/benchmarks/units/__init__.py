"""Benchmark of the comparison of hospitals: wrong units that are found, and false alarms."""
