"""The federation file that all parties agree on; start with federation.py."""
