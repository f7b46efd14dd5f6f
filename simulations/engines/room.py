"""Room on the disk of simulated hospitals, which all have the temporary folder's."""

import errno
import os
import resource
import shutil
from pathlib import Path

from common.errors import RefusalCode
from server.records.journal import FILE_NAME, CheckpointRecord, RunRecord, read_journal
from simulations.work_folder import no_room, temporary_parent


def require_room(run: Path) -> None:
    """Explain the end of a run whose hospitals had no room on the disk.

    Args:
        run: folder of the run's journal.

    Raises:
        DiskFullError: if a hospital refused for that reason.
    """
    records = read_journal(run) if (run / FILE_NAME).is_file() else []
    for record in records:
        if isinstance(record, CheckpointRecord):
            continue
        dropped = record.left_out if isinstance(record, RunRecord) else record.dropped
        if any(hospital.code == RefusalCode.DISK_FULL for hospital in dropped):
            parent = temporary_parent()
            number = _reason(parent)
            raise no_room(parent, OSError(number, os.strerror(number)))


def _reason(parent: Path) -> int:
    """Number of the error that was likely met: files may not grow, or the disk is full."""
    limit, _ = resource.getrlimit(resource.RLIMIT_FSIZE)
    is_limited = limit != resource.RLIM_INFINITY and shutil.disk_usage(parent).free > limit
    return errno.EFBIG if is_limited else errno.ENOSPC
