"""Calibration and discrimination within groups of patients, with small groups suppressed.

A group with few patients of either outcome shows nothing. Where figures of such groups would follow from the total and
the other groups, the next smallest shows nothing either.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from common.validation.estimate import NORMAL, IntervalEstimate, ValidationRecord
from common.validation.meta_analysis import Scale, concordance_error
from common.validation.observed import Array, Outcomes, Rows, observed_risk
from common.validation.ratio import by_kaplan_meier

Groups = np.ndarray[tuple[int], np.dtype[np.str_]]
"""Group of every patient [P]; an empty text for none."""


class GroupFigures(ValidationRecord):
    """Figures of a group by the horizon; all but the name are None where it is too small.

    Attributes:
        name: of the group.
        patients, events: their numbers; events by the horizon.
        expected: mean predicted risk.
        observed: risk by Kaplan-Meier.
        ratio: observed to expected.
        discrimination: concordance within the group, with an interval from the numbers of either outcome.
    """

    name: str
    patients: int | None = None
    events: int | None = None
    expected: float | None = None
    observed: IntervalEstimate = IntervalEstimate()
    ratio: IntervalEstimate = IntervalEstimate()
    discrimination: IntervalEstimate = IntervalEstimate()


def group_figures(
    groups: Groups, outcomes: Outcomes, risk: Array, concordance: Callable[[Rows], float], floor: int
) -> tuple[GroupFigures, ...]:
    """Judge every group that is large enough.

    Args:
        groups: [P] of the patients.
        outcomes: of the patients.
        risk: [P] predicted by the horizon.
        concordance: of the patients at rows.
        floor: least patients with the event by the horizon, and least spared.
    """
    rows = {name: np.flatnonzero(groups == name) for name in sorted(set(groups.tolist()) - {""}, key=_rising)}
    sizes = {name: _sizes(outcomes.select(of)) for name, of in rows.items()}
    shown = large_enough({**sizes, "": _sizes(outcomes.select(groups == ""))}, floor)
    return tuple(
        _figures(name, of, outcomes, risk, concordance) if name in shown else GroupFigures(name=name)
        for name, of in rows.items()
    )


def _rising(name: str) -> tuple[bool, str]:
    """Sort key of groups by name, that below all bands first."""
    return not name.startswith("under "), name


def large_enough(sizes: Mapping[str, Sequence[int]], floor: int) -> set[str]:
    """Name the groups of a division that can be shown.

    Args:
        sizes: group -> numbers of patients of which each has to reach the floor, such as those with and without an
            event; the group of patients who are in none is the empty text, and never shown.
        floor: least number.
    """
    shown = {name for name, numbers in sizes.items() if name and min(numbers) >= floor}
    while shown:
        hidden = [sum(column) for column in zip(*(sizes[n] for n in sizes if n not in shown), strict=True)]
        if not any(hidden) or min(hidden) >= floor:
            break
        shown.remove(min(shown, key=lambda name: (min(sizes[name]), name)))
    return shown


def _sizes(outcomes: Outcomes) -> tuple[int, int]:
    return int(outcomes.had.sum()), int(len(outcomes) - outcomes.had.sum())


def _figures(
    name: str, rows: Rows, outcomes: Outcomes, risk: Array, concordance: Callable[[Rows], float]
) -> GroupFigures:
    here = outcomes.select(rows)
    observed, expected = observed_risk(here), float(risk[rows].mean())
    events, others = _sizes(here)
    return GroupFigures(
        name=name,
        patients=len(rows),
        events=events,
        expected=expected,
        observed=IntervalEstimate.around(observed.risk, observed.error),
        ratio=by_kaplan_meier(observed, expected),
        discrimination=concordance_estimate(concordance(rows), events, others),
    )


def concordance_estimate(value: float, events: int, others: int) -> IntervalEstimate:
    """Return a concordance with an interval from the numbers of either outcome."""
    nearest = 1 / (2 * events * others) if events and others else np.nan
    inside = min(max(value, nearest), 1 - nearest)  # at 0 and 1, as if one pair were half in order
    error = concordance_error(inside, events, others)
    if not np.isfinite(error):
        return IntervalEstimate.of(value)
    middle = Scale.LOGIT.of(inside)
    reach = NORMAL * error
    low, high = Scale.LOGIT.back(middle - reach), Scale.LOGIT.back(middle + reach)
    return IntervalEstimate.of(value, min(low, value), max(high, value))
