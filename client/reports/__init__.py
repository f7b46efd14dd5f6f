"""Report of a run at a hospital, which never leaves it; start with report.py."""
