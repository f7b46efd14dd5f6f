"""Search for settings inside training folds; start with tune.py."""
