"""Models that hospitals train, their layers and their parameters' groups; start with federated.py."""
