"""The app's answers to the coordinator's requests; start with train.py."""
