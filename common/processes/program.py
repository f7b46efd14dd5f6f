"""Start of the command line of a module of ours, run as a program wherever the process stands."""

import sys

PROGRAM = (sys.executable, "-P", "-m", "consilium.program")
