"""Signed releases of trained models: format and signature; start with release.py."""
