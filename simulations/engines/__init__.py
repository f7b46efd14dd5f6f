"""Hospitals played on one machine or a Ray cluster; start with in_process.py."""
