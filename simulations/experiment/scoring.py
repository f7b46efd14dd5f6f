"""Scores of the arms on the same held-out patients, for `result.json`.

Folds are scored one by one and averaged: predictions of different folds come from different models, and no hospital
ranks patients across them. A bootstrap draws patients anew from all folds together, each patient scored by the model of
the fold that held the patient out.
"""

from collections.abc import Callable, Sequence
from typing import Literal, TypeVar

import numpy as np

from common.evaluation.bootstrap import Array, percentile_interval, replicate
from simulations.families.study import HeldOut, Rows
from simulations.results.schema import (
    UNKNOWN,
    Arm,
    Difference,
    GroupScores,
    MetricSummary,
    is_arm,
    summarise,
)

Q = TypeVar("Q")


SMALLEST_GROUP = 5
"""Least held-out patients of a subgroup that has a score in a fold, and least of either outcome over all folds."""


MOST_INTERVALS = 50
"""Most groups of a division, or hospitals, that get an interval each."""


OF_ONE_OUTCOME = frozenset({"accuracy"})
"""Metrics that say something of a subgroup in which nearly everybody has the same outcome."""

WITH_INTERVAL: tuple[Arm, ...] = ("federated_linear", "pooled", "cox", "logistic", "ridge")
"""Arms beside the federated one whose figures within a group have an interval."""


def compare_arms(
    metric: str, folds: Sequence[HeldOut[Q]], seed: int
) -> tuple[dict[str, dict[str, MetricSummary]], dict[str, Difference]]:
    """Arm -> metric -> summary, and arm -> federated minus that arm in the headline metric.

    Arms are those of the result and the private runs. The same patients are drawn for every arm, so that differences
    are paired.

    Args:
        metric: the headline metric.
        folds: held-out units of one question, fold by fold.
        seed: of the draws.
    """
    arms: list[str] = [arm for arm in folds[0].arms if all(fold.arms.get(arm) for fold in folds)]
    patients = sum(map(len, folds))
    drawn = {arm: replicate(_over_folds(folds, arm), patients, seed) for arm in arms}
    judged = _with_enough_of_an_outcome(folds)
    summaries = {arm: _summary(metric, folds, arm, judged, percentile_interval(drawn[arm])) for arm in arms}
    everyone = np.arange(patients, dtype=np.intp)
    whole = {arm: _over_folds(folds, arm)(everyone) for arm in arms}
    differences: dict[str, Difference] = {}
    for arm in arms:
        if arm != "federated" and "federated" in drawn:
            low, high = percentile_interval(drawn["federated"] - drawn[arm])
            differences[arm] = Difference(difference=whole["federated"] - whole[arm], low=low, high=high)
    return summaries, differences


def score_divisions(folds: Sequence[HeldOut[Q]], seed: int) -> dict[str, dict[str, GroupScores]]:
    """Return division -> group -> headline metric of the arms, of groups that are large enough."""
    scored: dict[str, dict[str, GroupScores]] = {}
    for division in folds[0].divisions:
        names = sorted({name for fold in folds for name in fold.divisions[division]} - {""})
        with_interval = len(names) <= MOST_INTERVALS
        of_groups = {name: _group(folds, division, name, seed if with_interval else None) for name in names}
        if kept := {name: scores for name, scores in of_groups.items() if scores is not None}:
            scored[division] = kept
    return scored


def _group(folds: Sequence[HeldOut[Q]], division: str, name: str, seed: int | None) -> GroupScores | None:
    """Score a group, with an interval by a seed; None if it is too small in every fold.

    With too few of an outcome over all folds it has counts and no scores.
    """
    starts = np.cumsum([0, *map(len, folds)])
    by_fold = [
        start + np.flatnonzero(np.array(fold.divisions[division]) == name)
        for start, fold in zip(starts, folds, strict=False)
    ]
    if not (enough := [rows for rows in by_fold if len(rows) >= SMALLEST_GROUP]):
        return None
    rows = np.concatenate(enough)
    patients, events, fewest = len(rows), _count(folds, by_fold, "events"), _count(folds, by_fold, "fewest")
    if fewest is not None and fewest < SMALLEST_GROUP:
        return GroupScores(patients=patients, events=events, scores={})
    shared = [arm for arm in folds[0].arms if all(fold.arms.get(arm) for fold in folds)]
    scores = {arm: _over_folds(folds, arm)(rows) for arm in shared if is_arm(arm)}
    bounds = {
        arm: percentile_interval(replicates_of(_over_folds(folds, arm), rows, seed))
        for arm in scores
        if seed is not None and (arm == "federated" or arm in WITH_INTERVAL)
    }
    return GroupScores(
        patients=patients,
        events=events,
        scores=scores,
        interval=bounds.pop("federated", UNKNOWN),
        intervals=dict(bounds),
    )


def _count(
    folds: Sequence[HeldOut[Q]], by_fold: Sequence[Rows], what: Literal["events", "fewest"]
) -> int | None:
    """Count a group's events, or units of the rarer outcome, in the folds that score the group."""
    starts = np.cumsum([0, *map(len, folds)])
    counts = [
        getattr(fold, what)(rows - start)
        for start, fold, rows in zip(starts, folds, by_fold, strict=False)
        if len(rows) >= SMALLEST_GROUP
    ]
    return None if None in counts else sum(counts)


def score_own(
    folds: Sequence[HeldOut[Q]], own_models: Sequence[Q | None], seed: int | None
) -> tuple[float | None, tuple[float | None, float | None], Difference | None]:
    """(metric, interval, federated minus it) of a hospital's own models, one per fold or None.

    Folds without one are left out. The same patients are drawn for both models.

    Args:
        folds: held-out units of one question, fold by fold.
        own_models: predictions of the own model of every fold.
        seed: of the draws; None for no interval.
    """
    kept = [(fold, model) for fold, model in zip(folds, own_models, strict=True) if model is not None]
    if not kept:
        return None, UNKNOWN, None
    judged, models = [fold for fold, _ in kept], [[model] for _, model in kept]
    rows = np.arange(sum(map(len, judged)), dtype=np.intp)
    metric, federated = metric_over_folds(judged, models), _over_folds(judged, "federated")
    alone, together = metric(rows), federated(rows)
    if seed is None:
        return alone, UNKNOWN, Difference(difference=together - alone, low=None, high=None)
    drawn = replicates_of(metric, rows, seed)
    low, high = percentile_interval(replicates_of(federated, rows, seed) - drawn)
    return (
        alone,
        percentile_interval(drawn),
        Difference(difference=together - alone, low=low, high=high),
    )


def replicates_of(metric: Callable[[Rows], float], rows: Rows, seed: int) -> Array:
    """Bootstrap replicates of a metric over units at these rows."""
    return replicate(lambda drawn: metric(rows[drawn]), len(rows), seed)


def _summary(
    headline: str, folds: Sequence[HeldOut[Q]], arm: str, judged: set[str], bounds: tuple[float, float]
) -> dict[str, MetricSummary]:
    """Metric -> summary of one arm over folds, by subgroup; of those not `judged`, few metrics."""
    per_fold = [_arm_scores(fold, arm, None) for fold in folds]
    by_group = [
        {
            name: _arm_scores(fold, arm, rows)
            for name in sorted(set(fold.groups))
            if len(rows := _rows(fold, name)) >= SMALLEST_GROUP
        }
        for fold in folds
    ]
    return {
        metric: summarise(
            [scores[metric] for scores in per_fold],
            [
                {
                    name: scores[metric]
                    for name, scores in groups.items()
                    if name in judged or metric in OF_ONE_OUTCOME
                }
                for groups in by_group
            ],
            bounds if metric == headline else UNKNOWN,
        )
        for metric in per_fold[0]
    }


def _with_enough_of_an_outcome(folds: Sequence[HeldOut[Q]]) -> set[str]:
    """Name the subgroups that have enough units of either outcome over all folds."""
    judged = set()
    for name in {name for fold in folds for name in fold.groups}:
        counts = [fold.fewest(_rows(fold, name)) for fold in folds]
        if None in counts or sum(filter(None, counts)) >= SMALLEST_GROUP:
            judged.add(name)
    return judged


def _over_folds(folds: Sequence[HeldOut[Q]], arm: str) -> Callable[[Rows], float]:
    """Headline metric of an arm, mean over folds, of patients numbered through all folds."""
    return metric_over_folds(folds, [fold.arms[arm] for fold in folds])


def metric_over_folds(folds: Sequence[HeldOut[Q]], models: Sequence[Sequence[Q]]) -> Callable[[Rows], float]:
    """Headline metric of every fold's models, mean over folds, of patients numbered through all."""
    ends = np.cumsum([len(fold) for fold in folds])

    def metric(rows: Rows) -> float:
        fold_of = np.searchsorted(ends, rows, side="right")
        figures = []
        for number, fold in enumerate(folds):
            fold_rows = rows[fold_of == number] - (ends[number] - len(fold))
            figures.append(_headline(fold, models[number], fold_rows) if len(fold_rows) else float("nan"))
        return _mean(figures)

    return metric


def _headline(fold: HeldOut[Q], models: Sequence[Q], rows: Rows) -> float:
    """Headline metric, mean over models."""
    return _mean([fold.headline(model, rows) for model in models])


def _arm_scores(fold: HeldOut[Q], arm: str, rows: Rows | None) -> dict[str, float]:
    by_model = [fold.scores(model, rows) for model in fold.arms[arm]]
    return {metric: _mean([scores[metric] for scores in by_model]) for metric in by_model[0]}


def _rows(fold: HeldOut[Q], group: str) -> Rows:
    return np.flatnonzero(np.array(fold.groups) == group)


def _mean(figures: Sequence[float]) -> float:
    defined = [figure for figure in figures if np.isfinite(figure)]
    return float(np.mean(defined)) if defined else float("nan")
