"""Plug-ins of a federation file, verified before they are imported; start with loading.py."""
