"""Pages of a coordinator for browsers, which change nothing; start with serving.py."""
