"""Validation sums of a hospital, and the names of all metrics in a message."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from common.evaluation.pairs import Pairs

TRAINING_LOSS = "training_loss"
"""Mean loss per training patient of one hospital."""
VALIDATION_LOSS = "validation_loss"
VALIDATION_SQUARES = "validation_squares"
VALIDATION_PATIENTS = "validation_patients"
SUMS = (VALIDATION_LOSS, VALIDATION_SQUARES, VALIDATION_PATIENTS)
"""Names of the sums over validation patients: of the loss, of its squares, and of patients."""


def concordant(task: str) -> str:
    """Name the concordant pairs of a task."""
    return f"concordant:{task}"


def comparable(task: str) -> str:
    """Name the comparable pairs of a task."""
    return f"comparable:{task}"


def pair_names(tasks: Iterable[str]) -> tuple[str, ...]:
    """Name the pairs of all tasks, in the order of a message."""
    return tuple(name for task in tasks for name in (concordant(task), comparable(task)))


@dataclass(frozen=True)
class ValidationSums:
    """Sums over validation patients or pairs of them, which add over hospitals.

    Attributes:
        loss: of the patients.
        squares: of the patients' losses.
        patients: how many.
        pairs: by task.
    """

    loss: float
    squares: float
    patients: float
    pairs: Mapping[str, Pairs]

    def named(self) -> dict[str, float]:
        """Return the sums by the names of a message."""
        numbers = dict(zip(SUMS, (self.loss, self.squares, self.patients), strict=True))
        for task, pairs in self.pairs.items():
            numbers |= {concordant(task): pairs.concordant, comparable(task): pairs.comparable}
        return {name: float(number) for name, number in numbers.items()}

    @classmethod
    def of(cls, metrics: Mapping[str, float], tasks: Iterable[str]) -> Self:
        """Read the sums from a message's metrics, which must hold every name."""
        pairs = {task: Pairs(metrics[concordant(task)], metrics[comparable(task)]) for task in tasks}
        loss, squares, patients = (metrics[name] for name in SUMS)
        return cls(loss, squares, patients, pairs)
