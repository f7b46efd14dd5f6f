"""The `consilium site` commands that need no running service; start with approve.py."""
