"""Replies checked and averaged into the next model; start with strategies.py."""
