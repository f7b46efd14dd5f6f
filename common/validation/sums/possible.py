"""Whether patients can have the sums of an outcome that a hospital sent.

The gate's limits hold for every number by itself. One hospital whose numbers contradict each other, such as more events
than patients, would otherwise leave all hospitals without a table.
"""

from collections.abc import Mapping

import numpy as np

from common.assessment.part import ROUNDING
from common.validation.observed import Array, Mask
from common.validation.sums.shapes import BY_HORIZON


def are_possible(sums: Mapping[str, Array]) -> bool:
    """Whether patients can have the sums of one outcome."""
    patients = float(sums["patients"])
    if patients != np.floor(patients) or patients < 1:
        return False
    by_horizon = {name: np.asarray(sums[name], dtype=np.float64) for name in BY_HORIZON}
    shown = by_horizon["events"] > 0
    parts_fit = [
        _horizons_are_possible(by_horizon, shown, patients),
        _pairs_are_possible(sums["pairs"], np.array(patients)),
        _rows_are_possible(sums["cells"]),
        float(sums["cells"][:, 0].sum()) in (0.0, patients),
        _rows_are_possible(sums["groups"]),
        bool((sums["groups"][:, 0] <= patients).all()),
        _pairs_are_possible(sums["group_pairs"], sums["groups"][:, 0]),
    ]
    return all(parts_fit) and ("thirds" not in sums or _thirds_are_possible(sums, patients))


def _horizons_are_possible(sums: Mapping[str, Array], shown: Mask, patients: float) -> bool:
    events, left = sums["events"][shown], sums["left"][shown]
    return bool(
        not any(array[~shown].any() for array in sums.values())
        and (np.floor(events) == events).all()
        and (np.floor(left) == left).all()
        and (np.diff(events) >= 0).all()
        and (events + left <= patients).all()
        and (sums["expected"][shown] > 0).all()
        and (sums["ranked"][shown] <= events * (1 + ROUNDING)).all()
    )


def _pairs_are_possible(pairs: Array, patients: Array) -> bool:
    concordant, comparable = pairs[..., 0], pairs[..., 1]
    return bool(((concordant <= comparable) & (comparable <= patients**2 / 2)).all())


def _rows_are_possible(rows: Array) -> bool:
    """Rows [N, 4] of patients, events, and their observed and predicted risk."""
    counts = rows[:, :2]
    return bool((np.floor(counts) == counts).all() and (rows <= rows[:, :1] * (1 + ROUNDING)).all())


def _thirds_are_possible(sums: Mapping[str, Array], patients: float) -> bool:
    sizes, cells, (low, high) = sums["third_patients"], sums["thirds"], sums["third_edges"]
    if not (sizes.any() or cells.any()):
        return True
    ends = cells[:, :, 0] > 0
    return bool(
        sizes.sum() == patients
        and 0 < low < high < 1
        and (np.floor(cells) == cells).all()
        and (np.floor(sizes) == sizes).all()
        and ends.any(1).all()
        and (ends == ends[0]).all()
        and not cells[~ends].any()
        and (cells.sum((1, 2)) < sizes).all()
    )
