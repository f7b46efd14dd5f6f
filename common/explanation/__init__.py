"""Explanations of predictions by integrated gradients; start with explain.py."""
