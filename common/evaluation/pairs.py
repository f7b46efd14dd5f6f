"""Comparable and concordant pairs of patients: sums that add over hospitals."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
CELLS_AT_ONCE = 2_000_000
"""Pairs compared in one block of memory."""


class Pairs(NamedTuple):
    """Concordant pairs, a tie counting 1/2, and comparable pairs."""

    concordant: float
    comparable: float

    @classmethod
    def none(cls) -> "Pairs":
        """No pair at all."""
        return cls(0.0, 0)

    @classmethod
    def total(cls, parts: "list[Pairs]") -> "Pairs":
        """The sum of several parts."""
        return cls(sum(part.concordant for part in parts), sum(part.comparable for part in parts))


def concordance_pairs(time: Array, event: Mask, risk: Array, cells: int = CELLS_AT_ONCE) -> Pairs:
    """Count Harrell's pairs of a survival risk.

    A pair is comparable if the earlier of the two had the event; at equal times, if exactly one had it (a
    patient censored at t outlives an event at t). Harrell, Lee & Mark (1996), with the ties of
    `lifelines.utils.concordance_index`. No pair with a NaN risk is concordant, so that one patient's NaN moves no
    more than his own pairs.

    Args:
        time: [P] time of event or censoring.
        event: [P] whether the event was seen.
        risk: [P] higher for an earlier expected event.
        cells: pairs compared in one block of memory.
    """
    concordant, comparable = 0.0, 0
    events = np.flatnonzero(event)
    for rows in np.array_split(events, len(events) * len(time) // cells + 1):
        start, risk_here = time[rows, None], risk[rows, None]
        later = (time > start) | ((time == start) & ~event)
        concordant += float((later & (risk < risk_here)).sum()) + 0.5 * float(
            (later & (risk == risk_here)).sum()
        )
        comparable += int(later.sum())
    return Pairs(concordant, comparable)


def on_either_side(time: Array, event: Mask) -> int:
    """Count patients on the smaller side of the comparable pairs.

    The sides are outlived events, and patients who outlive an event.
    """
    longest, longest_censored = time.max(initial=-np.inf), time[~event].max(initial=-np.inf)
    earlier = event & ((time < longest) | (time <= longest_censored))
    first = time[earlier].min(initial=np.inf)
    later = (time > first) | ((time == first) & ~event)
    return int(min(earlier.sum(), later.sum()))


def floored_pairs(time: Array, event: Mask, risk: Array, least: int) -> Pairs:
    """Count Harrell's pairs; none with fewer than `least` patients on a side.

    Arguments are those of `concordance_pairs`; for a number without censoring it is the time, and everybody has the
    event.
    """
    return concordance_pairs(time, event, risk) if on_either_side(time, event) >= least else Pairs.none()


def mann_whitney(positive: Mask, score: NDArray[np.floating]) -> Pairs:
    """Count the pairs of a patient who has an outcome and a patient who has not, by score [P]."""
    difference = score[positive][:, None] - score[~positive][None, :]
    return Pairs(float((difference > 0).sum() + 0.5 * (difference == 0).sum()), difference.size)
