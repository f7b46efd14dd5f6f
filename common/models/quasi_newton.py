"""Quasi-Newton steps to the minimum of a convex function of which only gradients are known.

Limited-memory BFGS (Nocedal & Wright 2006, algorithm 7.4) without a line search, for which hospitals would have to send
exact losses. The slopes along the last step serve instead: where the slope has turned round, the step was too long, and
the next point is where a straight line between the two slopes is 0.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

Vector = NDArray[np.float64]

REMEMBERED = 12
"""Steps from which curvature is estimated."""


FIRST = 0.1
"""Norm of the first step, for which no curvature is known."""


TURNED = 0.9
"""Slope at the end of a step, in slopes at its beginning turned round, from which on the step was too long."""


LEAST_CURVATURE = 1e-8
"""Curvature along a step below which the step tells nothing."""


@dataclass
class QuasiNewton:
    """Minimisation by a gradient per step.

    Attributes:
        longest: norm to which a step is shortened.
        points: points of the last steps, the latest last.
        gradients: at these points.
    """

    longest: float
    points: list[Vector] = field(default_factory=list)
    gradients: list[Vector] = field(default_factory=list)

    def next_point(self, point: Vector, gradient: Vector) -> Vector:
        """Return the point at which the gradient is wanted next."""
        shortened = self._shortened(point, gradient)
        self.points = [*self.points, point][-REMEMBERED - 1 :]
        self.gradients = [*self.gradients, gradient][-REMEMBERED - 1 :]
        if shortened is not None:  # the better of the two points stays the latest
            self.points[-2:], self.gradients[-2:] = self.points[:-3:-1], self.gradients[:-3:-1]
            return shortened
        direction = self._direction(gradient)
        return point + direction * min(1.0, self.longest / max(float(np.linalg.norm(direction)), 1e-300))

    def _shortened(self, point: Vector, gradient: Vector) -> Vector | None:
        """Return the point of slope 0 within the last step; None unless the step was too long."""
        if not self.points:
            return None
        step = point - self.points[-1]
        before, after = float(self.gradients[-1] @ step), float(gradient @ step)
        if before >= 0 or after <= -TURNED * before:
            return None
        return self.points[-1] + before / (before - after) * step

    def _direction(self, gradient: Vector) -> Vector:
        """Return minus the gradient times the estimated inverse of the curvature."""
        pairs = []
        for (x, next_x), (g, next_g) in zip(pairwise(self.points), pairwise(self.gradients), strict=True):
            step, change = next_x - x, next_g - g
            if step @ change > LEAST_CURVATURE * (step @ step):
                pairs.append((step, change))
        if not pairs:
            return -gradient * (FIRST / max(float(np.linalg.norm(gradient)), 1e-300))
        direction, shares = gradient.copy(), []
        for step, change in reversed(pairs):
            shares.append((step @ direction) / (step @ change))
            direction -= shares[-1] * change
        step, change = pairs[-1]
        direction *= (step @ change) / (change @ change)
        for (step, change), share in zip(pairs, reversed(shares), strict=True):
            direction += (share - (change @ direction) / (step @ change)) * step
        return -direction
