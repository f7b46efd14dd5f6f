"""Supervised processes and Flower's SuperExec; start with supervision.py."""
