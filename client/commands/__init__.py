"""Commands of `consilium site` that need no running service; start with approve.py."""
