"""Proof of concept: a federation of real processes on this machine; start with proof.py."""
