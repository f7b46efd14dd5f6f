"""Reading of files that people wrote, with the cause of a fault; start with toml_file.py."""
