"""Columns that differ in few patients, made the same before products of them leave.

With two columns x and y that differ in one patient alone, the difference of their products with a matrix A is that
patient's own values times A. Copy numbers of neighbouring genes are such columns. A column that differs in fewer
patients than the minimum count from an earlier one therefore takes its values in products: any two columns have the
same pattern then, or differ in enough patients.
"""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Codes = NDArray[np.int16]
Mask = NDArray[np.bool_]

MISSING = np.iinfo(np.int16).max
"""Code of a value that is not there."""


def without_near_copies(values: Array, observed: Mask, least: int) -> tuple[Array, Mask]:
    """Return values and mask [P, N] in which no two columns differ in few patients.

    Columns in which fewer than `least` patients share a value are left as they are: no two measured ones are alike.

    Args:
        values: [P, N] as the tables have them.
        observed: [P, N].
        least: the minimum count.
    """
    values, observed = values.copy(), observed.copy()
    kept = np.zeros((values.shape[1], len(values)), dtype=np.int16)
    number = 0
    for column in range(values.shape[1]):
        codes = codes_of(values[:, column], observed[:, column], least)
        if codes is None:
            continue
        far = np.stack([(kept[:number] != turned).sum(1) for turned in (codes, _turned(codes))])
        sign, nearest = np.unravel_index(int(far.argmin()), far.shape) if number else (0, 0)
        if not number or far[sign, nearest] >= least:
            kept[number] = codes
            number += 1
        elif far[sign, nearest]:
            wanted = _turned(kept[nearest]) if sign else kept[nearest]
            _take(values[:, column], observed[:, column], codes, wanted)
    return values, observed


def codes_of(values: Array, observed: Mask, least: int) -> Codes | None:
    """Number the values [P] of a column up and down from the commonest, which is 0.

    None where fewer than `least` patients share it.
    """
    levels, ranks, counts = np.unique(values[observed], return_inverse=True, return_counts=True)
    if not len(levels) or counts.max() < least:
        return None
    codes = np.full(len(values), MISSING, dtype=np.int16)
    codes[observed] = ranks - int(counts.argmax())
    return codes


def _turned(codes: Codes) -> Codes:
    return np.where(codes == MISSING, codes, -codes).astype(np.int16)


def _take(values: Array, observed: Mask, codes: Codes, wanted: Codes) -> None:
    """Give a column the pattern of another, in its own levels; nothing where it lacks a level."""
    level_of = dict(zip(codes.tolist(), values.tolist(), strict=True))
    if not {*wanted.tolist()} - {MISSING} <= level_of.keys():
        observed[:] = False
        return
    for row in np.flatnonzero(codes != wanted).tolist():
        observed[row] = wanted[row] != MISSING
        values[row] = level_of[int(wanted[row])] if observed[row] else 0.0
