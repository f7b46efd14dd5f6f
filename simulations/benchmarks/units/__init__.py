"""Wrong units that the comparison of hospitals finds, and false alarms; start with bench.py."""
