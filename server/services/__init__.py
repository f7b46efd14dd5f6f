"""The coordinator's supervised processes; start with processes.py."""
