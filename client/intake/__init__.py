"""Intake of a hospital's tables by the rules in its `site.toml`; start with taking.py."""
