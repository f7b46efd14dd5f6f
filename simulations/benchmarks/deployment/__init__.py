"""Cost of a round of real processes; start with bench.py."""
