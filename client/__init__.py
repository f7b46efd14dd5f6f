"""What runs inside a hospital."""
