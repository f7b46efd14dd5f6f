"""Curves of outcomes, computed from predictions; start with evidence.py."""
