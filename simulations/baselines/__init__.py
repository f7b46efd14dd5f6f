"""Classical models on the same inputs; start with registry.py."""
