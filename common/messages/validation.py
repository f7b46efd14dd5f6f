"""Validation sums of a hospital, their grid, and the names of all metrics in a message."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

from common.evaluation.pairs import Pairs

TRAINING_LOSS = "training_loss"
"""Mean loss per training patient of one hospital, over the patients of its first minibatch."""
VALIDATION_LOSS = "validation_loss"
VALIDATION_PATIENTS = "validation_patients"
SUMS = (VALIDATION_LOSS, VALIDATION_PATIENTS)
"""Names of the sums over validation patients: of the loss, and of patients."""
LOSS_CEILING = 4.0
"""Largest loss of a patient that counts in a sum that leaves, per task, in nats."""
MEAN_STEP = 1 / 16
"""Grid of a mean loss; sums lie on whole numbers."""


def concordant(task: str) -> str:
    """Name the concordant pairs of a task."""
    return f"concordant:{task}"


def comparable(task: str) -> str:
    """Name the comparable pairs of a task."""
    return f"comparable:{task}"


def pair_names(tasks: Iterable[str]) -> tuple[str, ...]:
    """Name the pairs of all tasks, in the order of a message."""
    return tuple(name for task in tasks for name in (concordant(task), comparable(task)))


def pairs_scale(of_one: float, scores: int) -> float:
    """Return the noise on one count of pairs per unit of `loss_noise`.

    Args:
        of_one: the most pairs that one patient is in.
        scores: how many have pairs; each has two counts, and a patient's pairs are in all of them.
    """
    return of_one * math.sqrt(2 * scores)


def noise_of_ratio(concordance: float, comparable: float, deviations: Iterable[float]) -> float:
    """Return the standard deviation of the noise in a concordance, to first order.

    With noise of the same deviation in a hospital's concordant pairs c and comparable pairs n, that of the ratio of
    their sums C / N is sqrt((1 + (C / N)^2) sum of squared deviations) / N.

    Args:
        concordance: C / N.
        comparable: N, above 0.
        deviations: of the noise on one count, of every hospital.
    """
    return math.sqrt((1 + concordance**2) * math.fsum(sd**2 for sd in deviations)) / comparable


def on_grid(number: float, low: float, high: float, step: float = 1.0) -> float:
    """Return the multiple of `step` next to a number, within such limits; low for NaN."""
    if math.isnan(number):
        return low
    return min(max(round(min(max(number, low), high) / step) * step, low), high)


def most_loss(patients: float, ceiling: float) -> float:
    """Largest sum of losses of so many patients that leaves a hospital."""
    return math.floor(patients * ceiling)


@dataclass(frozen=True)
class ValidationSums:
    """Sums over validation patients or pairs of them, which add over hospitals.

    Attributes:
        loss: of the patients, each up to the family's ceiling.
        patients: how many.
        pairs: by task.
    """

    loss: float
    patients: float
    pairs: Mapping[str, Pairs]

    def named(self) -> dict[str, float]:
        """Return the sums by the names of a message."""
        numbers = dict(zip(SUMS, (self.loss, self.patients), strict=True))
        for task, pairs in self.pairs.items():
            numbers |= {concordant(task): pairs.concordant, comparable(task): pairs.comparable}
        return {name: float(number) for name, number in numbers.items()}

    @classmethod
    def of(cls, metrics: Mapping[str, float], tasks: Iterable[str]) -> Self:
        """Read the sums from a message's metrics, which must hold every name."""
        pairs = {task: Pairs(metrics[concordant(task)], metrics[comparable(task)]) for task in tasks}
        loss, patients = (metrics[name] for name in SUMS)
        return cls(loss, patients, pairs)

    def rounded(self, ceiling: float) -> Self:
        """Return the sums as they leave: whole numbers, within what so many patients can make.

        Rounding a second time changes nothing.
        """
        loss = on_grid(self.loss, 0.0, most_loss(self.patients, ceiling))
        pairs = {
            task: Pairs(on_grid(pair.concordant, 0.0, pair.comparable), pair.comparable)
            for task, pair in self.pairs.items()
        }
        return type(self)(loss, self.patients, pairs)
