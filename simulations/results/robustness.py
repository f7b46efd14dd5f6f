"""Record `robustness.json`: scores of models under perturbations, by cohort and task."""

from datetime import UTC, datetime
from pathlib import Path
from statistics import mean
from typing import Self

from pydantic import Field, ValidationError

from common.errors import InvalidContentError
from common.files import write_whole
from simulations.results.machine import Machine, Record, Score, machine
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


class Robustness(Record):
    """Robustness of several cohorts, by name, with the machine and the time of the measurement."""

    machine: Machine = Field(default_factory=machine)
    date: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    cohorts: dict[str, CohortRobustness]

    def write(self, path: Path) -> None:
        """Write the figures as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.model_dump_json(indent=2).encode() + b"\n")

    @classmethod
    def beside(cls, folder: Path) -> Self | None:
        """Read the file in a folder; None if there is none.

        Raises:
            InvalidContentError: if it does not follow the schema.
        """
        path = folder / FILE_NAME
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError:
            remedy = "remove it, or write it again by `consilium bench robustness`"
            raise InvalidContentError(str(path), "holds no figures of robustness", remedy) from None
