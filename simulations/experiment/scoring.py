"""Scores of the arms on the same held-out patients, for `result.json`.

Folds are scored one by one and averaged: predictions of different folds come from different models, and no hospital
ranks patients across them. A bootstrap draws patients anew from all folds together, each patient scored by the model of
the fold that held the patient out.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import Prediction
from common.tasks.task import Task
from simulations.experiment.bootstrap import percentile_interval, replicate
from simulations.results.schema import UNKNOWN, Difference, MetricSummary, summarise

Rows = NDArray[np.intp]


SMALLEST_GROUP = 5
"""Least held-out patients of a subgroup that has a score in a fold."""


@dataclass(frozen=True)
class HeldOutTask:
    """Held-out patients of one fold for one task, with the predictions of every arm.

    Attributes:
        labels, labelled: [P, columns] labels and masks of the held-out patients.
        train_labels, train_labelled: labels and masks of the training patients.
        groups: subgroup of each held-out patient.
        arms: arm -> its models' predictions; `local` has one model per hospital, the others one.
    """

    labels: NDArray[np.float64]
    labelled: NDArray[np.bool_]
    train_labels: NDArray[np.float64]
    train_labelled: NDArray[np.bool_]
    groups: tuple[str, ...]
    arms: dict[str, Sequence[Prediction]]

    def scores(self, task: Task, prediction: Prediction, rows: Rows | None = None) -> dict[str, float]:
        """Score one model by every metric over the patients at `rows` (all by default)."""
        rows = np.arange(len(self.labels)) if rows is None else rows
        return task.scores(
            prediction.select(rows),
            self.labels[rows],
            self.labelled[rows],
            self.train_labels,
            self.train_labelled,
        )

    def headline(self, task: Task, arm: str, rows: Rows) -> float:
        """Headline metric of an arm, mean over its models."""
        labels, labelled = self.labels[rows], self.labelled[rows]
        return _mean([task.headline(model.select(rows), labels, labelled) for model in self.arms[arm]])


def compare_arms(
    task: Task, folds: Sequence[HeldOutTask], seed: int
) -> tuple[dict[str, dict[str, MetricSummary]], dict[str, Difference]]:
    """Arm -> metric -> summary, and arm -> federated minus that arm in the headline metric.

    Arms are those of the result and the private runs. The same patients are drawn for every arm, so that differences
    are paired.
    """
    arms: list[str] = [arm for arm in folds[0].arms if all(fold.arms.get(arm) for fold in folds)]
    patients = sum(len(fold.labels) for fold in folds)
    drawn = {arm: replicate(_over_folds(task, folds, arm), patients, seed) for arm in arms}
    summaries = {arm: _summary(task, folds, arm, percentile_interval(drawn[arm])) for arm in arms}
    everyone = np.arange(patients, dtype=np.intp)
    whole = {arm: _over_folds(task, folds, arm)(everyone) for arm in arms}
    differences: dict[str, Difference] = {}
    for arm in arms:
        if arm != "federated" and "federated" in drawn:
            low, high = percentile_interval(drawn["federated"] - drawn[arm])
            differences[arm] = Difference(difference=whole["federated"] - whole[arm], low=low, high=high)
    return summaries, differences


def _summary(
    task: Task, folds: Sequence[HeldOutTask], arm: str, bounds: tuple[float, float]
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


def _over_folds(task: Task, folds: Sequence[HeldOutTask], arm: str) -> Callable[[Rows], float]:
    """Headline metric, mean over folds, of patients numbered through all folds."""
    ends = np.cumsum([len(fold.labels) for fold in folds])

    def metric(rows: Rows) -> float:
        fold_of = np.searchsorted(ends, rows, side="right")
        figures = []
        for number, fold in enumerate(folds):
            fold_rows = rows[fold_of == number] - (ends[number] - len(fold.labels))
            figures.append(fold.headline(task, arm, fold_rows) if len(fold_rows) else float("nan"))
        return _mean(figures)

    return metric


def _arm_scores(task: Task, fold: HeldOutTask, arm: str, rows: Rows | None) -> dict[str, float]:
    by_model = [fold.scores(task, model, rows) for model in fold.arms[arm]]
    return {metric: _mean([scores[metric] for scores in by_model]) for metric in by_model[0]}


def _rows(fold: HeldOutTask, group: str) -> Rows:
    return np.flatnonzero(np.array(fold.groups) == group)


def _mean(figures: Sequence[float]) -> float:
    defined = [figure for figure in figures if np.isfinite(figure)]
    return float(np.mean(defined)) if defined else float("nan")
