"""Private training: clipping, noise, randomness and noised sums; start with dp_sgd.py."""
