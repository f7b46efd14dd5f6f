"""Probability of being uncensored, from hospitals' sums over parts of the follow-up.

The hazard of censoring is constant within a part: censored patients over the time seen (Friedman 1982, Piecewise
exponential models for survival data with covariates). A hospital scales the pooled hazard by its own censored patients
over those expected, with `PRIOR` of each added; nothing of this leaves.
"""

import numpy as np
from numpy.typing import NDArray

from common.assessment.floors import are_few, full_cells, merged
from common.evaluation.predictions import Mask
from common.intervals.shapes import LEAST_UNCENSORED, MOST_HAZARD, PARTS

Array = NDArray[np.float64]

SHORTEST = 1e-9
"""Parts seen through that are taken for none."""

PRIOR = 10.0
"""Censored patients that a hospital needs for its own hazard to weigh as much as the pooled one."""


def parts_of(ends: Array) -> Array:
    """Divide hazard intervals with these ends [K] into parts: their ends [PARTS * K]."""
    starts = np.concatenate([[0.0], ends[:-1]])
    shares = np.arange(1, PARTS + 1) / PARTS
    whole: Array = (starts[:, None] + shares * (ends - starts)[:, None]).ravel()
    return whole


def seen_parts(ends: Array, time: Array) -> Array:
    """Return the share [P, parts] of every part that a patient was seen through."""
    starts = np.concatenate([[0.0], ends[:-1]])
    shares: Array = ((time[:, None] - starts) / (ends - starts)).clip(0.0, 1.0)
    return shares


def censoring_of(ends: Array, time: Array, event: Mask, least: int) -> tuple[Array, Array]:
    """Sum censored patients and parts seen through, with `least` censored patients in a part.

    Parts are merged until they have so many; as in `common.intervals.steps` a merged part stands in its last place. Of
    fewer censored patients nothing is told, and nothing of the parts behind the last one. Where that would leave fewer
    patients without an event, whose number follows from that of the events, the last part is not told either.

    Args:
        ends: [T] of the parts.
        time: [P] observed.
        event: [P] whether the event happened then.
        least: the hospital's minimum count.
    """
    seen = seen_parts(ends, time)
    lost = ~event & (time < ends[-1])
    counts = np.bincount(np.searchsorted(ends, time[lost], side="left"), minlength=len(ends))[: len(ends)]
    last_parts = full_cells(counts[:, None], max(least, 1))
    censored, parts = merged(counts.astype(np.float64), last_parts), merged(seen.sum(axis=0), last_parts)
    without = int((~event | (time >= ends[-1])).sum())
    if are_few(without - censored.sum(), least):
        last = last_parts[-1:]
        censored[last], parts[last] = 0.0, 0.0
    return censored, parts


def pooled_hazard(censored: Array, seen: Array) -> Array:
    """Return the hazard of censoring [T] in every part.

    Args:
        censored, seen: [S, T] of the hospitals. A part that nobody tells has the hazard of all parts.
    """
    total, through = np.zeros(censored.shape[1]), np.zeros(censored.shape[1])
    for lost, time in zip(censored, seen, strict=True):
        start = 0
        for part in np.flatnonzero(lost).tolist():
            width = part + 1 - start
            total[start : part + 1] += lost[part] / width
            through[start : part + 1] += time[part] / width
            start = part + 1
    overall = total.sum() / max(float(through.sum()), SHORTEST)
    hazard: Array = np.where(through > SHORTEST, total / through.clip(SHORTEST), overall)
    return hazard.clip(0.0, MOST_HAZARD)


def uncensored(ends: Array, hazard: Array, time: Array, event: Mask) -> Array:
    """Return the probability [P] of being uncensored at a patient's own time.

    Args:
        ends: [T] of the parts.
        hazard: [T] pooled.
        time, event: [P] of all patients of the hospital, whose censoring scales the hazard.
    """
    expected = seen_parts(ends, time) @ hazard
    lost = float((~event & (time < ends[-1])).sum())
    scale = (lost + PRIOR) / (float(expected.sum()) + PRIOR)
    probability: Array = np.exp(-scale * expected).clip(LEAST_UNCENSORED, 1.0)
    return probability
