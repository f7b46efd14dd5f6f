"""ROC curve of a score for members against others, and two figures of it.

An attack that is certain of a few patients harms them even if it is useless on average, so the true-positive rate at
1% false positives stands beside the area under the curve (Carlini et al. 2022).
"""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from common.evaluation.classification import mean_auroc
from simulations.audit.report import Estimate

Array = NDArray[np.float64]


Mask = NDArray[np.bool_]


FALSE_POSITIVES = 0.01


_DRAWS = 500


def auc(member: Mask, score: Array) -> float:
    """Probability that a member scores above another patient, ties counting half."""
    return mean_auroc([(member, score)])


def curve(member: Mask, score: Array) -> tuple[Array, Array]:
    """False- and true-positive rates at every threshold, from (0, 0) to (1, 1).

    Patients of equal score share a threshold.
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)
    true, false = np.cumsum(member[order])[ends], np.cumsum(~member[order])[ends]
    return np.insert(false / max(1, false[-1]), 0, 0.0), np.insert(true / max(1, true[-1]), 0, 0.0)


def true_positives(member: Mask, score: Array, at: float = FALSE_POSITIVES) -> float:
    """The largest true-positive rate whose false-positive rate is not above `at`."""
    false, true = curve(member, score)
    return float(true[false <= at].max())


def over_targets(
    figure: Callable[[Mask, Array], float], members: Sequence[Mask], scores: Sequence[Array], seed: int
) -> Estimate:
    """Figure over the patients of all attacked models, with a bootstrap interval over models."""

    def pooled(chosen: Sequence[int] | NDArray[np.intp]) -> float:
        member = np.concatenate([members[model] for model in chosen])
        return figure(member, np.concatenate([scores[model] for model in chosen]))

    rng = np.random.default_rng(seed)
    drawn = [pooled(rng.integers(len(members), size=len(members))) for _ in range(_DRAWS)]
    low, high = np.quantile(drawn, (0.025, 0.975))
    return Estimate(value=pooled(range(len(members))), low=float(low), high=float(high))
