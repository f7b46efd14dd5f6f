"""Cost of a training step, with and without privacy; start with bench.py."""
