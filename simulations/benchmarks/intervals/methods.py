"""Ways to thresholds of intervals: the product's, two usual mistakes, and the model's word.

Both mistakes are about times: patients without an event are dropped, so that those with an early one weigh too much, or
the time until they were lost is taken for that of an event, so that the bound is half for being lost or ill.
"""

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import SurvivalPrediction
from common.intervals.censoring import pooled_hazard
from common.intervals.making import table_of
from common.intervals.scores import of_times
from common.intervals.shapes import outcomes_of
from common.intervals.task_sums import censoring, steps
from common.release.interval_table import LEVELS
from simulations.benchmarks.intervals.held_out import JudgedPatients

Array = NDArray[np.float64]

Thresholds = Mapping[str, tuple[float, ...]]
"""Hospital -> threshold of every level of `LEVELS`; empty where there are none."""

Method = Callable[[JudgedPatients], Thresholds]


def own(patients: JudgedPatients) -> Thresholds:
    """Take the model at its word."""
    return dict.fromkeys(patients.hospitals, tuple(1 - level for level in LEVELS))


def conformal(least: int) -> Method:
    """Return the product's way, from hospitals' sums over `least` patients or more."""

    def thresholds(patients: JudgedPatients) -> Thresholds:
        task, prediction = patients.task, patients.prediction
        of_site = {
            name: patients.select(np.flatnonzero(patients.hospital == name)) for name in patients.hospitals
        }
        hazard = None
        if isinstance(prediction, SurvivalPrediction):
            lost = [
                censoring(prediction.times, half.labels, half.labelled, least) for half in of_site.values()
            ]
            hazard = pooled_hazard(
                *(np.stack([here[kind] for here in lost]) for kind in ("censored", "seen"))
            )
        sums = {
            name: {
                f"{task.name}.{kind}": values
                for kind, values in steps(
                    task, half.prediction, half.labels, half.labelled, hazard, least
                ).items()
            }
            for name, half in of_site.items()
            if len(half) >= least
        }
        made = table_of([task], sums).tasks[task.name][outcomes_of(task)[0]]
        return {name: made.at(name) for name in patients.hospitals}

    return thresholds


def dropped(patients: JudgedPatients) -> Thresholds:
    """Drop the patients without an event: the first mistake."""
    return _unweighted(patients, np.flatnonzero(patients.labels[:, 1] > 0))


def taken_for_events(patients: JudgedPatients) -> Thresholds:
    """Take everybody's time for that of an event: the second mistake."""
    return _unweighted(patients, np.arange(len(patients)))


def _unweighted(patients: JudgedPatients, rows: NDArray[np.intp]) -> Thresholds:
    """Take quantiles of the scores at rows, as if all were of events."""
    here = patients.select(rows)
    assert isinstance(here.prediction, SurvivalPrediction)
    scores = np.sort(of_times(here.prediction, here.labels[:, 0]))
    kept = [int(np.floor((1 - level) * (len(scores) + 1))) - 1 for level in LEVELS]
    made = tuple(float(scores[number]) if number >= 0 else 0.0 for number in kept)
    return dict.fromkeys(patients.hospitals, made)
