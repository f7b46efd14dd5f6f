"""Answers of the app to the coordinator's requests; start with assembly.py, then train.py."""
