"""Room on the coordinator's disk, without which a run is not begun or ends with a sentence."""

import shutil
from pathlib import Path

from common.errors import MachineError

LEAST_FREE = 500 << 20
"""Bytes that have to be free: hospitals' replies lie on this disk until they are averaged."""


def require_room(folder: Path) -> None:
    """Require that the disk of a folder is not nearly full.

    Raises:
        MachineError: naming the folder and the room that is left.
    """
    free = shutil.disk_usage(folder).free
    if free < LEAST_FREE:
        what = (
            f"the disk is nearly full: {free / 1e6:.0f} MB are free and {LEAST_FREE / 1e6:.0f} MB are needed"
        )
        raise MachineError(str(folder), what, "make room, then begin the run again")
