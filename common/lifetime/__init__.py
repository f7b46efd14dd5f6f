"""Beginning and end of a process: system, signals, output, leftovers; start with signals.py."""
