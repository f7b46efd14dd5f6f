"""Facts about a release by topic, from which its documents are written; start with facts.py."""
