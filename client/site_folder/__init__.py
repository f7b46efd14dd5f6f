"""The site folder: its paths, site.toml, policy and keys; start with site_file.py."""
