"""Model card and reporting checklists of a release; start with documents.py."""
