"""Integrated gradients of a function along the straight path from 0 to a patient.

Sundararajan, Taly & Yan 2017, Axiomatic attribution for deep networks: the attribution of input i is
x_i times the mean over a in (0, 1) of the partial derivative at a x, and attributions add up to f(x) - f(0).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

STEPS = (32, 64, 128, 256)
"""Numbers of points on the path, of which the first is taken that suffices."""

TOLERANCE = 0.01
"""Largest gap between the attributions' sum and the function's difference, as a share of the difference."""

SMALLEST_TOLERANCE = 0.001
"""Gap that is always small enough, on a scale of log-odds or log hazards: a factor of 1.001."""

AT_ONCE = 32
"""Points that are computed together."""

Values = Mapping[str, Tensor]
"""Modality -> values [rows, nodes]."""

Gradients = tuple[Values, Values]
"""Modality -> gradient [rows, nodes] of the function, and the part of it that goes through linear scores."""


@dataclass(frozen=True)
class Attribution:
    """Attributions of one function to a patient's values.

    Attributes:
        values: modality -> [nodes] float64.
        linear: the part of them that linear scores make, which is exact; the network makes the rest.
        start: the function where all values are 0.
        end: the function at the patient.
        steps: points on the path.
        slack: gap that is always small enough.
    """

    values: dict[str, Tensor]
    linear: dict[str, Tensor]
    start: float
    end: float
    steps: int
    slack: float = SMALLEST_TOLERANCE

    @property
    def gap(self) -> float:
        """Sum of the attributions minus the difference of the function."""
        return float(sum(part.sum() for part in self.values.values())) - (self.end - self.start)

    @property
    def converged(self) -> bool:
        """Whether the gap is within the tolerance."""
        return abs(self.gap) <= max(TOLERANCE * abs(self.end - self.start), self.slack)


def integrate(
    pull: Callable[[Values], Gradients],
    values: Values,
    ends: tuple[float, float],
    slack: float = SMALLEST_TOLERANCE,
    steps: Sequence[int] = STEPS,
) -> Attribution:
    """Integrate gradients along the path, with more points until the attributions add up.

    Points and weights are those of the Gauss-Legendre rule.

    Args:
        pull: gradients at rows of values.
        values: the patient's, modality -> [1, nodes].
        ends: the function where all values are 0, and at the patient.
        slack: gap that is always small enough.
        steps: numbers of points, increasing.

    Returns:
        The first attribution that has converged, or else the one with the smallest gap.
    """
    tried = []
    for number in steps:
        whole, linear = _mean_gradients(pull, values, number)
        here = {name: part[0].double() for name, part in values.items()}
        tried.append(
            Attribution(
                {name: part * here[name] for name, part in whole.items()},
                {name: part * here[name] for name, part in linear.items()},
                *ends,
                number,
                slack,
            )
        )
        if tried[-1].converged:
            break
    return min(reversed(tried), key=lambda attribution: (not attribution.converged, abs(attribution.gap)))


def _mean_gradients(
    pull: Callable[[Values], Gradients], values: Values, steps: int
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Average gradients [nodes] over the path, and their part through linear scores."""
    places, weights = gauss_legendre(steps)
    total = {name: torch.zeros(part.shape[1], dtype=torch.double) for name, part in values.items()}
    linear = {name: torch.zeros_like(part) for name, part in total.items()}
    for rows in torch.arange(steps).split(AT_ONCE):
        here = {name: part * places[rows, None].to(part.dtype) for name, part in values.items()}
        whole, through_scores = pull(here)
        for name in values:
            total[name] += weights[rows] @ whole[name].double()
            linear[name] += weights[rows] @ through_scores[name].double()
    return total, linear


def gauss_legendre(points: int) -> tuple[Tensor, Tensor]:
    """Return places [points] in (0, 1) and weights [points], float64, that add up to 1."""
    places, weights = np.polynomial.legendre.leggauss(points)
    return torch.from_numpy((places + 1) / 2), torch.from_numpy(weights / 2)
