"""Privacy audit: membership inference, and a lower bound on epsilon; start with audit.py."""
