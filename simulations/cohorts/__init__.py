"""Cohort sources: each writes ordinary site folders and a federation file."""
