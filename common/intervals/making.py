"""Table of intervals from hospitals' sums."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from common.intervals.fitting import SiteSteps, fit_thresholds
from common.intervals.shapes import outcomes_of
from common.release.interval_table import LEAST_EVENTS, LEVELS, IntervalTable, OutcomeIntervals
from common.tasks.task import Task

Array = NDArray[np.float64]


def table_of(
    tasks: Sequence[Task], sites: Mapping[str, Mapping[str, Array]], needed: int = LEAST_EVENTS
) -> IntervalTable:
    """Fit the thresholds of every task that has a known form.

    Args:
        tasks: of the agreement.
        sites: hospital -> sums, named `TASK.NAME`.
        needed: events, or patients of other outcomes, without which there is no interval.
    """
    made: dict[str, dict[str, OutcomeIntervals]] = {}
    for task in tasks:
        for index, outcome in enumerate(outcomes_of(task)):
            of_sites = {name: _site(sums, task.name, index) for name, sums in sorted(sites.items())}
            made.setdefault(task.name, {})[outcome] = _outcome(
                {name: site for name, site in of_sites.items() if _is_possible(site)}, needed
            )
    return IntervalTable(tasks=made)


def _site(sums: Mapping[str, Array], task: str, index: int) -> SiteSteps:
    counts = {name: round(float(sums[f"{task}.{name}"][index])) for name in ("patients", "least", "events")}
    return SiteSteps(**counts, steps=sums[f"{task}.steps"][index])


def _is_possible(site: SiteSteps) -> bool:
    """Whether patients can have these numbers."""
    weighs_enough = not site.events or bool(site.steps.sum() >= site.events * (1 - 1e-6))
    return 0 < site.least <= site.patients and 0 <= site.events <= site.patients and weighs_enough


def _outcome(sites: Mapping[str, SiteSteps], needed: int) -> OutcomeIntervals:
    patients, events = (
        sum(getattr(site, name) for site in sites.values()) for name in ("patients", "events")
    )
    if events < max(needed, 1):
        return OutcomeIntervals(patients=patients, events=events, needed=needed)
    fitted = fit_thresholds(sites, LEVELS)
    return OutcomeIntervals(
        patients=patients,
        events=events,
        needed=needed,
        pooled=tuple(fitted.pooled.tolist()),
        hospitals={name: tuple(thresholds.tolist()) for name, thresholds in fitted.hospitals.items()},
    )
