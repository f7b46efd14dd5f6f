"""Tables of accuracy in the documentation; start with public_cohorts.py."""
