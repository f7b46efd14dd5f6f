"""Site folder of a hospital: paths, site.toml, policy and keys; start with site_file.py."""
