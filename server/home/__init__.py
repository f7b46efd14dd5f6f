"""The coordinator's folder, certificates and proxy configuration; start with places.py."""
