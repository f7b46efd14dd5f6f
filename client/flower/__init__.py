"""The adapter to Flower's SuperNode and ClientApp process; start with internals.py."""
