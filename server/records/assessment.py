"""Hospitals' sums about a run's kept weights, in a file for every question."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from common.agreement.agreement import Agreement
from common.assessment.part import AnyPart, SiteSums, Whose, parts_of
from common.errors import UnreadableFileError
from common.files import write_whole
from common.messages.packing import digest_of
from common.release.stamp import stamp_of, stamped

FOLDER = "assessment"


_PATIENTS = "patients"


Weights = Mapping[str, NDArray[Any]]


def write_answers(
    out: Path, part: AnyPart, number: int, weights: Weights, sites: Mapping[str, SiteSums]
) -> None:
    """Write the answers to a question about weights, whole and durably."""
    arrays = {f"{site}/{name}": array for site, sums in sites.items() for name, array in sums.sums.items()}
    arrays |= {f"{site}/{_PATIENTS}": np.array([sums.patients]) for site, sums in sites.items()}
    content = stamped(save(arrays), {"part": part.name, "weights": digest_of(weights)})
    write_whole(_path(out, part, number), content)


def read_answers(out: Path, part: AnyPart, number: int, weights: Weights) -> dict[str, SiteSums] | None:
    """Read the answers to a question about these weights; None if it has none.

    Raises:
        InputError: if the file is damaged.
    """
    path = _path(out, part, number)
    if not path.is_file():
        return None
    content = path.read_bytes()
    try:
        stamp, arrays = stamp_of(content), load(content)
    except (SafetensorError, ValueError):
        raise UnreadableFileError(str(path), "is damaged", "put it back from a backup") from None
    if stamp != {"part": part.name, "weights": digest_of(weights)}:
        return None
    sites: dict[str, SiteSums] = {}
    for key, array in sorted(arrays.items()):
        site, _, name = key.rpartition("/")
        if name == _PATIENTS:
            sums = {
                other.rpartition("/")[2]: arrays[other]
                for other in sorted(arrays)
                if other.rpartition("/")[0] == site and other != key
            }
            sites[site] = SiteSums(int(array[0]), sums)
    return sites


def assessed_members(
    out: Path, agreement: Agreement, weights: Weights, is_alone: bool = True
) -> dict[str, bytes]:
    """Make the members of a release from the sums in a run's folder.

    Args:
        out: the run's folder.
        agreement: of the run.
        weights: that the run kept.
        is_alone: whether these weights predict alone. What held-out patients say of one network holds for no mean of
            several, and stays out of an ensemble.

    Returns:
        Members by name; none of parts without sums, or whose sums do not suffice.

    Raises:
        InputError: if a file is damaged.
    """
    members = {}
    for part in parts_of(agreement):
        if not is_alone and part.whose is not Whose.TRAINING:
            continue
        sites = read_answers(out, part, part.questions(agreement) - 1, weights)
        content = None if sites is None else part.content(agreement, sites)
        if content is not None:
            members[part.member] = content
    return members


def copy_answers(run: Path, out: Path) -> None:
    """Copy the answers of a run to another folder, in place of those that it has."""
    for earlier in (out / FOLDER).glob("*.safetensors"):
        earlier.unlink()
    for path in sorted((run / FOLDER).glob("*.safetensors")):
        write_whole(out / FOLDER / path.name, path.read_bytes())


def _path(out: Path, part: AnyPart, number: int) -> Path:
    return out / FOLDER / f"{part.name}-{number}.safetensors"
