"""Cost, terms and preconditions of differential privacy; start with guarantee.py."""
