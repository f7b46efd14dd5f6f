"""Settings of glibc's allocator in this process: memory that training frees is kept.

`site start` gives a hospital's processes the same settings.
"""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h


_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Keep memory that tensors free, instead of asking the system for it at every step.

    Does nothing where the C library has no such settings.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _LARGEST)
