"""Report of a run for its coordinator, from the run's folder; start with report.py."""
