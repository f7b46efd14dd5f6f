"""Part of Consilium that runs inside a hospital; start with app.py."""
