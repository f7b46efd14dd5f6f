"""Predictions of a row for the held-out patients, made of the runs behind it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)

Mask = NDArray[np.bool_]


def averaged(predictions: Sequence[Prediction], seen: Sequence[Mask]) -> Prediction:
    """Average the predictions of several models of one task.

    A patient has the mean over the models that see something of him.
    For a patient of whom no model sees anything it is the mean over all. Of survival curves the mean has the mean risk.

    Args:
        predictions: of the same patients.
        seen: model -> [P] whether the patient has a modality of the model.

    Raises:
        ValueError: if they are of different kinds, or of survival at different times.
    """
    first, *others = predictions
    if not others:
        return first
    weights = np.stack(seen).astype(np.float64)
    weights[:, weights.sum(0) == 0] = 1.0
    weights /= weights.sum(0)
    survival = [prediction for prediction in predictions if isinstance(prediction, SurvivalPrediction)]
    if len(survival) == len(predictions):
        if any(not np.array_equal(survival[0].times, other.times) for other in survival):
            raise ValueError("curves must be at the same times")
        risk = np.einsum("mp,mp->p", weights, np.stack([model.risk for model in survival]))
        curves = np.einsum("mp,mpt->pt", weights, np.stack([model.survival for model in survival]))
        return SurvivalPrediction(risk, survival[0].times, curves)
    numbers = [prediction for prediction in predictions if isinstance(prediction, NumberPrediction)]
    if len(numbers) == len(predictions):
        return NumberPrediction(np.einsum("mp,mp->p", weights, np.stack([model.value for model in numbers])))
    probable = [model for model in predictions if isinstance(model, ClassPrediction | LabelPrediction)]
    if len({type(model) for model in probable}) != 1 or len(probable) != len(predictions):
        raise ValueError("predictions must be of the same kind")
    mean = np.einsum("mp,mpc->pc", weights, np.stack([model.probability for model in probable]))
    return type(probable[0])(mean)
