"""Privacy plans: noise that an epsilon needs; start with plan.py."""
