"""Record `robustness.json`: scores of models under perturbations, by cohort and task."""

from statistics import mean

from simulations.results.machine import Measurement, Record, Score
from simulations.results.schema import Arm

FILE_NAME = "robustness.json"

NONE = "none"
"""Kind of the condition without a perturbation."""

MODELS: tuple[Arm, ...] = ("federated", "federated_linear", "cox", "logistic", "ridge", "forest")
"""Models that are compared; the classical ones are fitted to the pooled patients, with the same perturbation."""


class Condition(Record):
    """Scores under a perturbation.

    Attributes:
        kind, level: of the perturbation.
        scores: task -> model -> headline metric, the mean over folds, by seed.
    """

    kind: str
    level: str
    scores: dict[str, dict[Arm, tuple[Score, ...]]]

    def mean(self, task: str, arm: Arm) -> float | None:
        """Mean of a model's defined scores over seeds; None without any."""
        defined = [score for score in self.scores.get(task, {}).get(arm, ()) if score is not None]
        return mean(defined) if defined else None


class CohortRobustness(Record):
    """Conditions of a cohort, reasons of those left out, and the metric of every task."""

    headlines: dict[str, str]
    conditions: tuple[Condition, ...]
    left_out: dict[str, str]

    def arms(self, task: str) -> list[Arm]:
        """List the models that have a score of a task, in the order of a table."""
        return [arm for arm in MODELS if any(arm in of.scores.get(task, {}) for of in self.conditions)]

    def unperturbed(self, task: str, arm: Arm) -> float | None:
        """Mean score of a model without a perturbation; None if it has none."""
        first = next((of for of in self.conditions if of.kind == NONE), None)
        return None if first is None else first.mean(task, arm)

    def by_kind(self) -> dict[str, list[Condition]]:
        """Kind of perturbation -> its conditions in their order."""
        kinds: dict[str, list[Condition]] = {}
        for condition in self.conditions:
            if condition.kind != NONE:
                kinds.setdefault(condition.kind, []).append(condition)
        return kinds


class Robustness(Measurement):
    """Robustness of several cohorts, by name."""

    FILE = FILE_NAME
    COMMAND = "consilium bench robustness"

    cohorts: dict[str, CohortRobustness]
