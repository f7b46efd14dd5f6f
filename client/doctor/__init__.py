"""The checks of `consilium site doctor`, each with a remedy; start with examination.py."""
