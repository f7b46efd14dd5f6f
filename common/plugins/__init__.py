"""Code from outside that a federation file names, checked before it is imported; start with loading.py."""
