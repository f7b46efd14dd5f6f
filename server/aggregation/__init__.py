"""Replies checked and averaged into the next model; start with model_exchange.py."""
