"""Memory that other processes of the same account cannot read."""

import ctypes
import os
import sys

_PR_SET_DUMPABLE = 4


def close_memory() -> None:
    """Keep other processes of this account from reading the memory of this one.

    Nothing is done on another system than Linux.

    Raises:
        OSError: if the system refuses it.
    """
    if sys.platform == "linux" and ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
