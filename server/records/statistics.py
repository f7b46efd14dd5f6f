"""Hospitals' sums for preprocessing, kept in a run's folder for its baseline table."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.errors import UnreadableFileError
from common.files import write_whole
from common.messages.packing import Arrays

FILE_NAME = "statistics.safetensors"


def write_statistics(out: Path, sites: Mapping[str, Arrays]) -> None:
    """Write the sums of hospitals, whole and durably; nothing where none told any.

    Args:
        out: the run's folder.
        sites: hospital -> name of sums -> count, sum and sum of squares [3, N].
    """
    arrays = {
        f"{site}/{name}": np.asarray(sums)
        for site, by_name in sites.items()
        for name, sums in by_name.items()
    }
    if arrays:
        write_whole(out / FILE_NAME, save(arrays))


def read_statistics(out: Path) -> dict[str, dict[str, np.ndarray]]:
    """Read the sums of hospitals; none of runs that have no file of them.

    Raises:
        InputError: if the file is damaged.
    """
    path = out / FILE_NAME
    if not path.is_file():
        return {}
    try:
        arrays = load(path.read_bytes())
    except (SafetensorError, ValueError):
        raise UnreadableFileError(str(path), "is damaged", "put it back from a backup") from None
    sites: dict[str, dict[str, np.ndarray]] = {}
    for key in sorted(arrays):
        site, _, name = key.rpartition("/")
        sites.setdefault(site, {})[name] = arrays[key]
    return sites
