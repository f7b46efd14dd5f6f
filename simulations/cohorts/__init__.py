"""Cohort sources, which write site folders and a federation file; start with registry.py."""
