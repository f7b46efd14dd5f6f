"""Studies of the kinds of record that can be simulated; start with study.py."""
