"""Trained networks, ready for prediction; start with network.py."""
