"""Sums of one hospital's patients for one task.

Numbers about fewer than the minimum count of patients with the outcome, or without it, are 0. For every number there
are two patients at least, so that no system of equations gives a patient's own: blocks of numbers are added as long as
that holds, the most important first.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np

from common.assessment.floors import are_apart, are_few
from common.evaluation.pairs import Pairs, floored_pairs, mann_whitney
from common.evaluation.predictions import ClassPrediction, LabelPrediction, Prediction, SurvivalPrediction
from common.evaluation.survival import survival_labels
from common.tasks.task import Task
from common.validation.groups import large_enough
from common.validation.observed import Array, Mask, Outcomes, Rows, censoring_weights, observed_risk
from common.validation.ratio import expected_while_followed
from common.validation.sums.merging import are_large, merged_cells
from common.validation.sums.shapes import (
    BY_HORIZON,
    MOST_WEIGHT,
    RISKS,
    horizons_asked,
    main_horizon,
    times_of,
)
from common.validation.sums.times import kept_horizons, late_outcomes, time_counts
from common.validation.timed_auc import timed_auc

Arrays = dict[str, Array]

PATIENTS_PER_NUMBER = 2

_WITHOUT_TIME = 3
"""Numbers of a class or adverse event: events, predicted risk and squared errors, of which the others follow."""


@dataclass(frozen=True)
class JudgedOutcome:
    """Patients of an outcome.

    Attributes:
        rows: their rows among all patients.
        time, event: [P] as in `Outcomes`; a patient without the outcome of a class or label stays at time 1.
        curves: predicted survival; None for a class or label.
        risk: [P] by which patients are ordered.
        classes: [P] index of the class, where there are more than two.
        number: of classes.
    """

    rows: Rows
    time: Array
    event: Mask
    curves: SurvivalPrediction | None
    risk: Array
    classes: Rows | None = None
    number: int = 2

    def by(self, horizon: float) -> tuple[Outcomes, Array]:
        """Outcomes and predicted risks [P] by a horizon."""
        if self.curves is None:
            return Outcomes.without_time(self.event), self.risk
        return Outcomes(self.time, self.event, horizon), 1 - self.curves.at([horizon])[:, 0]

    def pairs(self, rows: Rows, least: int) -> Pairs:
        """Count comparable pairs among rows of these patients; none with few on a side."""
        time, event, risk = self.time[rows], self.event[rows], self.risk[rows]
        if self.curves is None:
            enough = are_apart(int(event.sum()), len(event), least)
            return mann_whitney(event, risk) if enough else Pairs.none()
        return floored_pairs(time, event, risk, least)


def judged_outcomes(task: Task, prediction: Prediction, labels: Array, labelled: Mask) -> list[JudgedOutcome]:
    """Return the outcomes of a task with its labelled patients."""
    if isinstance(prediction, SurvivalPrediction):
        rows = np.flatnonzero(labelled.all(axis=1))
        time, event = survival_labels(labels, labelled)
        here = prediction.select(rows)
        return [JudgedOutcome(rows, time, event, here, here.risk)]
    outcomes = []
    if isinstance(prediction, ClassPrediction):
        rows, classes = np.flatnonzero(labelled[:, 0]), prediction.probability.shape[1]
        for index in [1] if classes == 2 else range(classes):
            has = labels[rows, 0] == index
            outcome = _without_time(rows, has, prediction.probability[rows, index])
            if classes > 2:
                outcome = replace(outcome, classes=labels[rows, 0].astype(np.intp), number=classes)
            outcomes.append(outcome)
    elif isinstance(prediction, LabelPrediction):
        for index in range(prediction.probability.shape[1]):
            rows = np.flatnonzero(labelled[:, index])
            outcomes.append(_without_time(rows, labels[rows, index] > 0, prediction.probability[rows, index]))
    return outcomes


def _without_time(rows: Rows, has: Mask, risk: Array) -> JudgedOutcome:
    return JudgedOutcome(rows, np.where(has, 0.0, 1.0), has, None, risk)


class _Budget:
    """Numbers that may still leave, by the patients behind them."""

    def __init__(self, patients: int) -> None:
        self.left = patients // PATIENTS_PER_NUMBER

    def take(self, numbers: int) -> bool:
        """Whether so many numbers may leave; they are taken off then."""
        if numbers > self.left:
            return False
        self.left -= numbers
        return True


def task_sums(
    task: Task,
    judged: Sequence[JudgedOutcome],
    groups: Mapping[str, Sequence[str]],
    names: Sequence[tuple[str, str]],
    least: int,
    edges: Array | None,
) -> Arrays:
    """Sum over the hospital's patients; every array as `sums_of` has it.

    Args:
        task: of the outcomes.
        judged: its outcomes with patients.
        groups: division -> group of every patient of the hospital.
        names: (division, group) of the groups that are asked.
        least: fewest patients behind a number.
        edges: [2] of the thirds of predicted risk, among `RISKS`; None or 0 for no thirds.
    """
    made = [_outcome_sums(task, outcome, groups, names, least, edges) for outcome in judged]
    sums = {
        name: np.stack([arrays[name] for arrays in made]) for name in made[0] if not name.startswith("third")
    }
    return sums | {name: made[0][name] for name in made[0] if name.startswith("third")}


def _outcome_sums(
    task: Task,
    outcome: JudgedOutcome,
    groups: Mapping[str, Sequence[str]],
    names: Sequence[tuple[str, str]],
    least: int,
    edges: Array | None,
) -> Arrays:
    horizons = horizons_asked(task) or (0.0,)
    sums: Arrays = {"patients": np.zeros(())}
    sums |= {name: np.zeros(len(horizons)) for name in BY_HORIZON}
    sums |= {
        "pairs": np.zeros(2),
        "cells": np.zeros((len(RISKS) + 1, 4)),
        "groups": np.zeros((len(names), 4)),
        "group_pairs": np.zeros((len(names), 2)),
    }
    if outcome.curves is not None:
        sums |= {
            "thirds": np.zeros((3, len(times_of(task)), 2)),
            "third_patients": np.zeros(3),
            "third_edges": np.zeros(2),
        }
    patients = len(outcome.rows)
    kept = _kept_horizons(task, outcome, least)
    if not kept:
        return sums
    budget, main = _Budget(patients), main_horizon(task)
    budget.take(1)
    sums["patients"] = np.array(float(patients))
    for index in sorted(kept, key=lambda index: abs(index - main)):
        if budget.take(len(BY_HORIZON) if outcome.curves is not None else _WITHOUT_TIME):
            for name, value in _by_horizon(outcome, horizons[index]).items():
                sums[name][index] = value
    if budget.take(2):
        sums["pairs"][:] = outcome.pairs(np.arange(patients), least)
    outcomes, risk = outcome.by(horizons[main])
    ends = risk_ends(outcomes, risk, least)
    if main in kept and budget.take(4 * len(ends)):
        _add_cells(sums["cells"], outcomes, risk, ends)
        thirds = None if edges is None or outcome.curves is None else _thirds(risk, ends, edges)
        if thirds is not None:
            _add_thirds(sums, task, outcome, thirds, kept, least, budget)
            sums["third_edges"][:] = edges
    if main in kept:
        _add_groups(sums, outcome, outcomes, risk, groups, names, least, budget)
    return sums


def _kept_horizons(task: Task, outcome: JudgedOutcome, least: int) -> list[int]:
    """Return the indices of horizons that are told; [0] of a class or adverse event."""
    if outcome.curves is None:
        return [0] if min(_sizes(outcome, np.arange(len(outcome.rows)))) >= least else []
    return kept_horizons(task, float(outcome.curves.times[-1]), outcome.time, outcome.event, least)


def _sizes(outcome: JudgedOutcome, rows: Rows) -> tuple[int, ...]:
    """Return the patients among rows with and without an outcome, or with every class.

    Whoever has no class of which the number is told has the other one.
    """
    if outcome.classes is not None:
        return tuple(np.bincount(outcome.classes[rows], minlength=outcome.number).tolist())
    events = int(outcome.event[rows].sum())
    return events, len(rows) - events


def _by_horizon(outcome: JudgedOutcome, horizon: float) -> dict[str, float]:
    outcomes, risk = outcome.by(horizon)
    observed, patients = observed_risk(outcomes), len(risk)
    followed = 0.0 if outcome.curves is None else expected_while_followed(outcomes, outcome.curves).sum()
    spread = patients**2 * observed.error**2
    return {
        "events": float(outcomes.had.sum()),
        "left": float(patients - outcomes.had.sum() - outcomes.spared.sum()),
        "expected": float(risk.sum()),
        "followed": float(followed),
        "risk": halves(patients * observed.risk),
        "spread": halves(min(spread, MOST_WEIGHT * patients)),
        "squared": float((censoring_weights(outcomes) * (outcomes.had - risk) ** 2).sum()),
        "ranked": 0.0 if outcome.curves is None else float(outcomes.had.sum()) * timed_auc(outcomes, risk),
    }


def risk_ends(outcomes: Outcomes, risk: Array, least: int) -> list[int]:
    """Return the last indices of merged cells of risk, in each of which risk is observed."""
    cell = cells_of(risk)
    counts = [np.bincount(cell[chosen], minlength=len(RISKS) + 1) for chosen in (outcomes.had, ~outcomes.had)]
    ends = merged_cells(np.stack(counts, axis=1).astype(np.float64), least)
    observed = [
        observed_risk(outcomes.select((cell > start) & (cell <= end))).risk
        for start, end in pairwise([-1, *ends])
    ]
    return ends if np.isfinite(observed).all() else []


def cells_of(risk: Array) -> Rows:
    """Return the cell of risk of every patient [P]; a risk at an edge is above it."""
    return np.searchsorted(np.asarray(RISKS), risk, side="right")


def _add_cells(cells: Array, outcomes: Outcomes, risk: Array, ends: Sequence[int]) -> None:
    cell = cells_of(risk)
    for start, end in pairwise([-1, *ends]):
        cells[end] = _counted(outcomes, risk, np.flatnonzero((cell > start) & (cell <= end)))


def _counted(outcomes: Outcomes, risk: Array, rows: Rows) -> tuple[float, float, float, float]:
    """Return patients, events, observed and predicted risk times the patients."""
    here = outcomes.select(rows)
    observed = halves(len(rows) * observed_risk(here).risk)
    return len(rows), float(here.had.sum()), observed, float(risk[rows].sum())


def halves(patients: float) -> float:
    """Round patients of an estimate to halves.

    An exact estimate would tell who was censored between two events.
    """
    return round(2 * patients) / 2 if np.isfinite(patients) else patients


def _thirds(risk: Array, ends: Sequence[int], edges: Array) -> Rows | None:
    """Return the third of every patient; None if a cell of the hospital spans an edge."""
    if not 0 < edges[0] < edges[1] or not {*edges.tolist()} <= {RISKS[end] for end in ends[:-1]}:
        return None
    return np.searchsorted(edges, risk, side="right")


def _add_thirds(
    sums: Arrays,
    task: Task,
    outcome: JudgedOutcome,
    third: Rows,
    kept: Sequence[int],
    least: int,
    budget: _Budget,
) -> None:
    """Add events and censored patients by third and time, if all thirds have enough."""
    times = times_of(task)
    chosen = [third == number for number in range(3)]
    counts = [time_counts(outcome.time[rows], outcome.event[rows], times) for rows in chosen]
    main = times.index(horizons_asked(task)[main_horizon(task)])
    horizons = [times.index(horizons_asked(task)[index]) for index in kept]
    ends: list[int] = []
    for index in [main, *range(len(times))]:
        tried = sorted({*ends, index})
        sizes = [int(rows.sum()) for rows in chosen]
        if all(
            are_large(of_third, size, least, tried) for of_third, size in zip(counts, sizes, strict=True)
        ) and _fits_horizons(task, outcome, sorted({*horizons, *tried}), least):
            ends = tried
    if not ends or not budget.take(6 * len(ends) + 3):
        return
    for number, of_third in enumerate(counts):
        sums["third_patients"][number] = chosen[number].sum()
        totals = np.concatenate([np.zeros((1, 2)), np.cumsum(of_third, axis=0)])
        for start, end in pairwise([-1, *ends]):
            sums["thirds"][number, end] = totals[end + 1] - totals[start + 1]


def _fits_horizons(task: Task, outcome: JudgedOutcome, ends: Sequence[int], least: int) -> bool:
    """Whether enough patients lie between times of the thirds and horizons.

    Thirds add up to everybody.
    """
    assert outcome.curves is not None
    times, time, event = times_of(task), outcome.time, outcome.event
    late = late_outcomes(times[ends[-1]], float(outcome.curves.times[-1]), time, event)
    few = any(are_few(int(chosen.sum()), least) for chosen in late)
    return not few and are_large(time_counts(time, event, times), len(time), least, ends)


def _add_groups(
    sums: Arrays,
    outcome: JudgedOutcome,
    outcomes: Outcomes,
    risk: Array,
    groups: Mapping[str, Sequence[str]],
    names: Sequence[tuple[str, str]],
    least: int,
    budget: _Budget,
) -> None:
    for division in dict.fromkeys(division for division, _ in names):
        of = np.array(groups.get(division, [""] * (int(outcome.rows.max(initial=0)) + 1)))[outcome.rows]
        rows = {name: np.flatnonzero(of == name) for name in sorted({*of.tolist()})}
        sizes = {
            name: _sizes(outcome, chosen)
            if outcome.curves is None
            else (int(outcomes.had[chosen].sum()), int(len(chosen) - outcomes.had[chosen].sum()))
            for name, chosen in rows.items()
        }
        shown = large_enough(sizes, least)
        if not shown or not budget.take(6 * len(shown)):
            continue
        for index, (its_division, name) in enumerate(names):
            if its_division == division and name in shown:
                counted = _counted(outcomes, risk, rows[name])
                if np.isfinite(counted).all():
                    sums["groups"][index] = counted
                    sums["group_pairs"][index] = outcome.pairs(rows[name], least)
