"""Baseline table of hospitals' patients, from their sums; start with table.py."""
