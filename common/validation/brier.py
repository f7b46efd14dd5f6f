"""Brier score by a horizon, beside that of a null model.

The null model says of everybody the risk that was observed among these very patients, which is more than a model
without predictors can know beforehand.
"""

import numpy as np

from common.validation.estimate import IntervalEstimate, ValidationRecord
from common.validation.observed import Array, Outcomes, censoring_weights, observed_risk


class Brier(ValidationRecord):
    """Brier scores of the model and of the null model.

    Attributes:
        model, null: mean squared errors; less is better.
        gain: null minus model, so that more than 0 says that the model is better.
        skill: gain as a share of the null model's score (index of prediction accuracy, Kattan & Gerds 2018).
    """

    model: float | None
    null: float | None
    gain: IntervalEstimate
    skill: float | None


def brier_scores(outcomes: Outcomes, risk: Array) -> tuple[float, float]:
    """Return Brier scores of model and null model (Graf et al. 1999); NaN beyond follow-up."""
    observed = observed_risk(outcomes).risk
    if not np.isfinite(observed):
        return float("nan"), float("nan")
    weights, had = censoring_weights(outcomes), outcomes.had
    return float((weights * (had - risk) ** 2).mean()), float((weights * (had - observed) ** 2).mean())
