"""Fit of the model's linear scores in the first rounds of a run, before its strategy.

In these rounds a hospital returns its weights after one step along its mean gradient. Per averaging group the mean
change, times the patients behind it, is the gradient over the patients of all hospitals together; with the ridge
penalty it leads to the same scores as if they were pooled.
"""

from collections.abc import Iterable, Mapping
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from common.agreement.agreement import Agreement
from common.agreement.reach import LINEAR_STEP
from common.models.parameter_groups import ModelGroups
from common.models.quasi_newton import QuasiNewton, Vector
from server.aggregation.averaging import Weights
from server.aggregation.contributions import Contributions
from server.aggregation.strategies import Remembering, Strategy

POINT, GRADIENT = "linear-point-", "linear-gradient-"
"""Beginnings of names in the strategy's memory, before a number."""

ALL = "scores"
"""Name of the array of a point or gradient, which has all scores."""


class LinearFirst:
    """Strategy that fits the linear scores first, and leaves the other rounds to another.

    Args:
        federation: the agreement, which says how many rounds are for the scores.
        groups: averaging groups of the model.
        then: strategy of the other rounds, in which the scores stay as they are.
    """

    def __init__(self, federation: Agreement, groups: ModelGroups, then: Strategy) -> None:
        self._rounds, self._penalty = federation.linear_rounds, federation.training.linear_penalty
        self._groups, self._then = groups, then
        self._names = sorted(groups.linear)
        self._fit = QuasiNewton(LINEAR_STEP)

    def next_weights(self, contributions: Contributions) -> Weights:
        """The weights after a round."""
        sent = contributions.sent
        if contributions.number > self._rounds:
            after = self._then.next_weights(contributions)
            return after | {name: sent[name] for name in self._names}
        mean = contributions.mean()
        contributors = contributions.contributors()
        gradient: dict[str, Vector] = {}
        for name in self._names:
            group = self._groups[name]
            behind = sum(contributions.behind[site][group] for site in contributors[name])
            gradient[name] = behind * (sent[name].astype(np.float64) - mean[name])
            if group.modality is not None:  # a score; no penalty is on a head's bias
                gradient[name] += self._penalty * sent[name]
        point = self._fit.next_point(self._vector(sent), self._vector(gradient))
        return sent | self._weights(point, sent)

    def memory(self) -> dict[str, Weights]:
        """Points and gradients so far, and the memory of the other strategy."""
        kept: dict[str, Weights] = {}
        for beginning, vectors in ((POINT, self._fit.points), (GRADIENT, self._fit.gradients)):
            kept |= {
                f"{beginning}{number}": {ALL: cast(NDArray[np.float32], vector)}  # kept in float64
                for number, vector in enumerate(vectors)
            }
        return kept | (self._then.memory() if isinstance(self._then, Remembering) else {})

    def remember(self, memory: dict[str, Weights]) -> None:
        """Take over points, gradients and the memory of the other strategy."""
        self._fit.points = _numbered(memory, POINT)
        self._fit.gradients = _numbered(memory, GRADIENT)
        if isinstance(self._then, Remembering):
            others = {
                name: arrays for name, arrays in memory.items() if not name.startswith((POINT, GRADIENT))
            }
            self._then.remember(others)

    def _vector(self, weights: Mapping[str, NDArray[Any]]) -> Vector:
        return np.concatenate([weights[name].ravel().astype(np.float64) for name in self._names])

    def _weights(self, point: Vector, like: Weights) -> Weights:
        parts: Iterable[Vector] = np.split(point, np.cumsum([like[name].size for name in self._names])[:-1])
        return {
            name: part.reshape(like[name].shape).astype(np.float32)
            for name, part in zip(self._names, parts, strict=True)
        }


def _numbered(memory: dict[str, Weights], beginning: str) -> list[Vector]:
    count = sum(name.startswith(beginning) for name in memory)
    return [memory[f"{beginning}{number}"][ALL].astype(np.float64) for number in range(count)]
