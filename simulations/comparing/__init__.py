"""Comparison of two results, or of two runs: paired differences with intervals."""
