"""Training steps that a GPU replays without a launch per operation; start with training.py."""
