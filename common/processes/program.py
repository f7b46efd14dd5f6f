"""Start of the command line of a module of ours that is run as a program."""

import sys

PROGRAM = (sys.executable, "-P", "-m", "consilium.program")
