"""Models, their layers and their parameter groups; start with federated.py."""
