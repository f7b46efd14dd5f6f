"""A hospital's own model beside the federated one, on the hospital's own held-out patients."""

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

from common.evaluation.bootstrap import percentile_interval
from simulations.experiment.scoring import SMALLEST_GROUP, metric_over_folds, replicates_of
from simulations.families.study import HeldOut, Rows
from simulations.results.schema import UNKNOWN, Difference, OwnPatients

Q = TypeVar("Q")

HOSPITAL = "hospital"
"""Division of held-out units by hospital; a cohort of one hospital has none."""


def score_on_own_patients(
    folds: Sequence[HeldOut[Q]], own_models: Sequence[Q | None], site: str, seed: int | None
) -> OwnPatients | None:
    """Judge both models on the held-out units of one hospital; None if these are too few.

    It is the question that a hospital asks first: whether the model of all does better for its patients than its own.
    A fold counts if the hospital has a model of its own in it and `SMALLEST_GROUP` units are held out; over these
    folds as many must have the event, and of classes as many not. The same units are drawn for both models.

    Args:
        folds: held-out units of one question, fold by fold.
        own_models: predictions of the hospital's own model in every fold, or None.
        site: the hospital.
        seed: of the draws; None for no interval.
    """
    kept = [
        (fold, model, rows)
        for fold, model in zip(folds, own_models, strict=True)
        if model is not None and len(rows := _rows(fold, site)) >= SMALLEST_GROUP
    ]
    fewest = [fold.fewest(rows) for fold, _, rows in kept]
    if not kept or (None not in fewest and sum(filter(None, fewest)) < SMALLEST_GROUP):
        return None
    judged = [fold for fold, _, _ in kept]
    starts = np.cumsum([0, *map(len, judged)])
    rows = np.concatenate([start + chosen for start, (_, _, chosen) in zip(starts, kept, strict=False)])
    alone = metric_over_folds(judged, [[model] for _, model, _ in kept])
    together = metric_over_folds(judged, [fold.arms["federated"] for fold in judged])
    figures = {"local": alone(rows), "federated": together(rows)}
    intervals, low, high = {}, None, None
    if seed is not None:
        drawn = {"local": replicates_of(alone, rows, seed), "federated": replicates_of(together, rows, seed)}
        intervals = {arm: percentile_interval(replicates) for arm, replicates in drawn.items()}
        low, high = percentile_interval(drawn["federated"] - drawn["local"])
    events = [fold.events(chosen) for fold, _, chosen in kept]
    return OwnPatients(
        patients=len(rows),
        events=None if None in events else sum(filter(None, events)),
        local=figures["local"],
        federated=figures["federated"],
        intervals={
            "local": intervals.get("local", UNKNOWN),
            "federated": intervals.get("federated", UNKNOWN),
        },
        gain=Difference(difference=figures["federated"] - figures["local"], low=low, high=high),
    )


def _rows(fold: HeldOut[Q], site: str) -> Rows:
    """Return the held-out units of a hospital with a known outcome."""
    return np.flatnonzero(np.array(fold.divisions.get(HOSPITAL, ())) == site)
