"""Signed receipts of every message that left; start with receipt.py, then book.py."""
