"""Messages between coordinator and hospital, and their bytes; start with exchange.py."""
