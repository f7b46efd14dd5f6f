"""Part of Consilium that runs inside a hospital."""
