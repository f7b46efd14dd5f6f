"""Networks that hospitals train, and what their parameters mean; start with registry.py."""
