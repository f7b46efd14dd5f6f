"""Noise that a privacy budget takes; start with plan.py."""
