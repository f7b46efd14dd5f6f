"""Coordinator of a federation: its services, its runs and its commands; start with app.py."""
