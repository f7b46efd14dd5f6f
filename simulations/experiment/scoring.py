"""Arms on the same held-out patients -> the figures of `result.json`.

Folds are scored one by one and averaged: predictions of different folds come from different models, and ranking
across them would compare what no hospital ever has to. A bootstrap draws patients anew from all folds
together, each patient judged by the model of the fold that held it out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import Prediction
from common.tasks.task import Task
from simulations.experiment.bootstrap import interval, replicate
from simulations.results.schema import UNKNOWN, Arm, Difference, MetricSummary, summarise

Rows = NDArray[np.intp]


SMALLEST_GROUP = 5
"""A subgroup with fewer held-out patients in a fold has no figure there."""


@dataclass(frozen=True)
class HeldOutTask:
    """One fold's held-out patients for one task, and what every arm predicts for them.

    Attributes:
        labels, labelled: [P, columns] of the held-out patients.
        train_labels, train_labelled: of the patients trained on.
        groups: subgroup of each held-out patient.
        arms: arm -> its models' predictions; `local` has one model per hospital, the others one.
    """

    labels: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    train_labels: NDArray[np.float64]
    train_labelled: NDArray[np.bool_]
    groups: tuple[str, ...]
    arms: dict[Arm, Sequence[Prediction]]

    def scores(self, task: Task, prediction: Prediction, rows: Rows | None = None) -> dict[str, float]:
        """Every metric of one model over the patients at `rows` (all by default)."""
        rows = np.arange(len(self.labels)) if rows is None else rows
        return task.scores(
            prediction.select(rows),
            self.labels[rows],
            self.labelled[rows],
            self.train_labels,
            self.train_labelled,
        )

    def headline(self, task: Task, arm: Arm, rows: Rows) -> float:
        """The headline metric of an arm, the mean over its models."""
        labels, labelled = self.labels[rows], self.labelled[rows]
        return _mean([task.headline(model.select(rows), labels, labelled) for model in self.arms[arm]])


def compare(
    task: Task, folds: Sequence[HeldOutTask], seed: int
) -> tuple[dict[Arm, dict[str, MetricSummary]], dict[Arm, Difference]]:
    """Arm -> metric -> summary, and arm -> federated minus that arm in the headline metric.

    The same patients are drawn for every arm, so that differences are paired.
    """
    arms: list[Arm] = [arm for arm in folds[0].arms if all(fold.arms.get(arm) for fold in folds)]
    patients = sum(len(fold.labels) for fold in folds)
    drawn = {arm: replicate(_over_folds(task, folds, arm), patients, seed) for arm in arms}
    summaries = {arm: _summary(task, folds, arm, interval(drawn[arm])) for arm in arms}
    everyone = np.arange(patients, dtype=np.intp)
    whole = {arm: _over_folds(task, folds, arm)(everyone) for arm in arms}
    differences: dict[Arm, Difference] = {}
    for arm in arms:
        if arm != "federated" and "federated" in drawn:
            low, high = interval(drawn["federated"] - drawn[arm])
            differences[arm] = Difference(difference=whole["federated"] - whole[arm], low=low, high=high)
    return summaries, differences


def _summary(
    task: Task, folds: Sequence[HeldOutTask], arm: Arm, bounds: tuple[float, float]
) -> dict[str, MetricSummary]:
    """Metric -> summary of one arm over folds, by subgroup where there are several."""
    per_fold = [_arm_scores(task, fold, arm, None) for fold in folds]
    by_group = [
        {
            name: _arm_scores(task, fold, arm, rows)
            for name in sorted(set(fold.groups))
            if len(rows := _rows(fold, name)) >= SMALLEST_GROUP
        }
        for fold in folds
    ]
    return {
        metric: summarise(
            [scores[metric] for scores in per_fold],
            [{name: scores[metric] for name, scores in groups.items()} for groups in by_group],
            bounds if metric == task.headline_metric else UNKNOWN,
        )
        for metric in per_fold[0]
    }


def _over_folds(task: Task, folds: Sequence[HeldOutTask], arm: Arm) -> Callable[[Rows], float]:
    """The headline metric, mean over folds, of patients numbered through all folds."""
    ends = np.cumsum([len(fold.labels) for fold in folds])

    def metric(rows: Rows) -> float:
        fold_of = np.searchsorted(ends, rows, side="right")
        figures = []
        for place, fold in enumerate(folds):
            mine = rows[fold_of == place] - (ends[place] - len(fold.labels))
            figures.append(fold.headline(task, arm, mine) if len(mine) else float("nan"))
        return _mean(figures)

    return metric


def _arm_scores(task: Task, fold: HeldOutTask, arm: Arm, rows: Rows | None) -> dict[str, float]:
    each = [fold.scores(task, model, rows) for model in fold.arms[arm]]
    return {metric: _mean([scores[metric] for scores in each]) for metric in each[0]}


def _rows(fold: HeldOutTask, group: str) -> Rows:
    return np.flatnonzero(np.array(fold.groups) == group)


def _mean(figures: Sequence[float]) -> float:
    known = [figure for figure in figures if np.isfinite(figure)]
    return float(np.mean(known)) if known else float("nan")
