"""Commands that measure and print a table; start with rounds/bench.py."""
