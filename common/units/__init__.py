"""Named units, their conversions, and units that tables confuse; start with named.py."""
