"""The average of a round, with one hospital's weights in memory at a time.

Replies come in any order, and one hospital may turn out to have replied twice after its first reply was taken. So what
was checked is put aside as it comes, and added up at the end in order of hospital: the sums do not depend on the order
of arrival, nor does memory on the number of hospitals. The file it waits in has no name, and ends with the round or
with the process, whichever is first.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from tempfile import SpooledTemporaryFile
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from common.models.parameter_groups import AveragingWeights, ModelGroups, ParameterGroup

Weights = dict[str, NDArray[np.float32]]


IN_MEMORY_BYTES = 1 << 24
"""Bytes put aside in memory before a file is written."""


class WeightSpill:
    """Arrays of float32 put aside by name.

    Args:
        folder: where the file is, once there is one; the system's temporary folder by default.
        in_memory: bytes up to which no file is written.
    """

    def __init__(self, folder: Path | None = None, in_memory: int = IN_MEMORY_BYTES) -> None:
        where = None if folder is None else str(folder)
        self._file = SpooledTemporaryFile(in_memory, dir=where)  # noqa: SIM115 (open as long as this is)
        self._places: dict[str, tuple[int, int]] = {}

    def put(self, name: str, array: NDArray[np.float32]) -> None:
        """Put an array [N] aside; the first of a name stays."""
        if name not in self._places:
            self._places[name] = (self._file.seek(0, os.SEEK_END), array.nbytes)
            self._file.write(array.tobytes())

    def get(self, name: str) -> NDArray[np.float32]:
        """The array of that name, to be read only."""
        offset, size = self._places[name]
        self._file.seek(offset)
        return np.frombuffer(self._file.read(size), np.float32)

    def __enter__(self) -> Self:
        """Begin the block after which everything that was put aside is gone."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Remove everything."""
        self._file.close()


class Average:
    """Mean of hospitals' weights, per averaging group over the hospitals with a weight in it.

    Args:
        current: the weights that were sent out: the names, the shapes, and what a group keeps that nobody trained.
        groups: averaging groups of the parameters.
        spill: where weights wait.

    Attributes:
        groups: averaging group -> its parameters.
    """

    def __init__(self, current: Weights, groups: ModelGroups, spill: WeightSpill) -> None:
        self._current, self._spill = current, spill
        self.groups: dict[ParameterGroup, list[str]] = {}
        for name in current:
            self.groups.setdefault(groups[name], []).append(name)

    def put(self, site: str, weights: Mapping[str, NDArray[Any]]) -> None:
        """Put a hospital's weights spill, which have the names, shapes and dtype of those sent out."""
        parts = [weights[name].ravel() for names in self.groups.values() for name in names]
        self._spill.put(site, np.concatenate(parts, dtype=np.float32))

    def weights(self, site: str) -> Weights:
        """The weights that a hospital returned."""
        flat, start, weights = self._spill.get(site), 0, {}
        for names in self.groups.values():
            for name in names:
                shape, size = self._current[name].shape, self._current[name].size
                weights[name] = flat[start : start + size].reshape(shape)
                start += size
        return weights

    def of(self, behind: Mapping[str, AveragingWeights]) -> Weights:
        """Average over hospitals, given their names and weights in every group."""
        shares = {group: _shares(group, behind) for group in self.groups}
        sizes = {group: sum(self._current[name].size for name in self.groups[group]) for group in shares}
        totals = {group: np.zeros(sizes[group]) for group in shares}
        for site in sorted(behind):
            flat, start = self._spill.get(site), 0
            for group, size in sizes.items():
                if site in shares[group]:
                    totals[group] += shares[group][site] * flat[start : start + size].astype(np.float64)
                start += size
        averaged = dict(self._current)
        for group, names in self.groups.items():
            start = 0
            for name in names if shares[group] else ():
                present = self._current[name]
                part = totals[group][start : start + present.size]
                averaged[name] = part.reshape(present.shape).astype(np.float32)
                start += present.size
        return averaged


def _shares(group: ParameterGroup, behind: Mapping[str, AveragingWeights]) -> dict[str, np.float64]:
    """Hospital -> its share in a group's mean, in order of hospital, of those that have one."""
    counts = {site: weight for site in sorted(behind) if (weight := behind[site][group]) > 0}
    if not counts:
        return {}
    # dividing by the largest first: weights near the largest float must not sum to infinity
    shares = np.array(list(counts.values()), dtype=np.float64) / max(counts.values())
    return dict(zip(counts, shares / shares.sum(), strict=True))
