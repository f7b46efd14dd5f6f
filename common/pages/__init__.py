"""One look for every self-contained page: sections, tables, figures; start with document.py."""
