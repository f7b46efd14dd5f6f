"""Coverage of intervals over random halves of held-out patients."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import ClassPrediction, SurvivalPrediction
from common.intervals.answering import class_sets
from common.intervals.scores import lower_bound
from common.intervals.shapes import LEAST_UNCENSORED
from common.release.interval_table import LEVELS
from simulations.benchmarks.intervals.held_out import JudgedPatients
from simulations.benchmarks.intervals.methods import Method
from simulations.report.outcomes.calibration import kaplan_meier

Array = NDArray[np.float64]

FEW = 20
"""Events among its calibration patients below which a hospital is not judged by itself."""


@dataclass(frozen=True)
class Coverage:
    """Figures of one method at one level, over splits.

    Attributes:
        method: its name.
        level: share of cases that should be held.
        splits: with an interval; of the others there are no figures.
        held: mean share of cases that were held.
        deviation: of this share over splits.
        size: mean over splits of the median bound, or of the mean number of classes.
        worst: share held at the worst hospital, over the splits in which it had `FEW` calibration events.
        judged: hospitals of which there is one.
    """

    method: str
    level: float
    splits: int
    held: float
    deviation: float
    size: float
    worst: float | None
    judged: int


def coverage(name: str, method: Method, patients: JudgedPatients, splits: int, seed: int) -> list[Coverage]:
    """Judge a method over random splits, by every level.

    Of times, a patient with an event before the bound counts by the inverse of the probability of being uncensored
    until then, from all patients.

    Args:
        name: of the method.
        method: which makes thresholds of one half of the patients.
        patients: all of them.
        splits: number of random halves.
        seed: of the halves.
    """
    generator = np.random.default_rng(seed)
    judge = _judge(patients)
    shares: list[list[float]] = [[] for _ in LEVELS]
    sizes: list[list[float]] = [[] for _ in LEVELS]
    by_hospital: list[dict[str, list[tuple[float, int]]]] = [{} for _ in LEVELS]
    for _ in range(splits):
        order = generator.permutation(len(patients))
        half = patients.select(order[: len(order) // 2])
        rows, made = order[len(order) // 2 :], method(half)
        for column in range(len(LEVELS)):
            # a hospital without calibration patients has the middle of the others' thresholds
            middles = [thresholds[column] for thresholds in made.values() if thresholds]
            if not middles:
                continue
            middle = float(np.median(middles))
            threshold = np.array(
                [
                    here[column] if (here := made.get(hospital)) else middle
                    for hospital in patients.hospital[rows].tolist()
                ]
            )
            held, size = judge(rows, threshold)
            shares[column].append(float(held.mean()))
            sizes[column].append(size)
            for hospital in half.hospitals:
                events = int((half.labels[half.hospital == hospital, -1] > 0).sum())
                here = held[patients.hospital[rows] == hospital]
                if events >= FEW and len(here):
                    by_hospital[column].setdefault(hospital, []).append((float(here.sum()), len(here)))
    return [
        _figures(name, level, shares[column], sizes[column], by_hospital[column])
        for column, level in enumerate(LEVELS)
    ]


def _figures(
    name: str,
    level: float,
    shares: list[float],
    sizes: list[float],
    by_hospital: dict[str, list[tuple[float, int]]],
) -> Coverage:
    pooled = [
        sum(held for held, _ in halves) / sum(number for _, number in halves)
        for halves in by_hospital.values()
    ]
    return Coverage(
        method=name,
        level=level,
        splits=len(shares),
        held=float(np.mean(shares)) if shares else float("nan"),
        deviation=float(np.std(shares)) if shares else float("nan"),
        size=float(np.mean(sizes)) if sizes else float("nan"),
        worst=min(pooled, default=None),
        judged=len(pooled),
    )


def _judge(patients: JudgedPatients) -> Callable[[NDArray[np.intp], Array], tuple[Array, float]]:
    """Return a judge of patients at rows: how far they are held, and how large intervals are."""
    prediction, labels = patients.prediction, patients.labels
    if isinstance(prediction, SurvivalPrediction):
        time, event = labels[:, 0], labels[:, 1] > 0
        weight = np.where(event, 1 / uncensored_before(time, event), 0.0)

        def of_times(rows: NDArray[np.intp], threshold: Array) -> tuple[Array, float]:
            bound = _bounds(prediction.select(rows), threshold)
            return 1 - weight[rows] * (time[rows] < bound), float(np.median(bound))

        return of_times
    assert isinstance(prediction, ClassPrediction)
    index = labels[:, 0].astype(np.intp)

    def of_classes(rows: NDArray[np.intp], threshold: Array) -> tuple[Array, float]:
        here = prediction.select(rows)
        possible = np.concatenate(
            [class_sets(here.select(np.array([row])), float(threshold[row])) for row in range(len(rows))]
        )
        held = possible[np.arange(len(rows)), index[rows]].astype(np.float64)
        return held, float(possible.sum(axis=1).mean())

    return of_classes


def _bounds(prediction: SurvivalPrediction, threshold: Array) -> Array:
    bound = np.zeros(len(threshold))
    for level in np.unique(threshold):
        rows = np.flatnonzero(threshold == level)
        bound[rows] = lower_bound(prediction.select(rows), float(level))
    return bound


def uncensored_before(time: Array, event: NDArray[np.bool_]) -> Array:
    """Return the Kaplan-Meier probability [P] of being uncensored just before each time."""
    times, probability = kaplan_meier(time, ~event)
    index = np.searchsorted(times, time, side="left") - 1
    whole: Array = np.where(index < 0, 1.0, probability[index.clip(0)]).clip(LEAST_UNCENSORED)
    return whole
