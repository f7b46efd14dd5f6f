"""Rules of intake as a hospital declares them in `site.toml`; start with declaration.py."""
