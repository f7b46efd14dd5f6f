"""Choice of the kernels by which the CPU's library of products computes.

Left to itself, Intel's library rounds a row of a product by the row's place and its alignment in memory, even where the
number of rows is the same. In its reproducible mode it does not, at no cost that was measured.
"""

import os

KERNELS = {"MKL_CBWR": "AUTO,STRICT"}
"""Environment variables, read when a process computes its first product."""


def choose_kernels() -> None:
    """Ask for reproducible kernels in this process, unless its environment names others."""
    for name, value in KERNELS.items():
        os.environ.setdefault(name, value)
