"""Bytes and accuracy of every encoding of an update; start with bench.py."""
