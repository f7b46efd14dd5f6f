"""One experiment: arms, folds, scores and comparison; start with experiment.py."""
