"""Cost of a round by engine, message and number of hospitals; start with bench.py."""
