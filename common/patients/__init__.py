"""Patients as tensors, and their federated preprocessing; start with batch.py."""
