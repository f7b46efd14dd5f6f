"""glibc's allocator in this process: keep what training frees, as `site start` has it for a hospital's processes."""

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4  # malloc.h


_LARGEST = 2**31 - 1


def keep_freed_memory() -> None:
    """Have memory that tensors free be used again, not given back to the system and asked for anew at every step.

    Does nothing where the C library has no such settings.
    """
    if not sys.platform.startswith("linux"):
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:  # musl has none
        mallopt(_MMAP_MAX, 0)
        mallopt(_TRIM_THRESHOLD, _LARGEST)
