"""Patients with an exponential time to an event, and a model whose hazards are off by a factor."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.evaluation.predictions import Mask, SurvivalPrediction
from common.tasks.regression import RegressionTask
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask

Array = NDArray[np.float64]

SURVIVAL = SurvivalTask(name="survival", time="months", event="died", unit="months", longest=100)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))
GRADE = ResponseTask(name="grade", label="grade", classes=("low", "middle", "high"))
TOXICITY = ToxicityTask(name="toxicity", labels=("nausea", "rash"))
SCORE = RegressionTask(name="score", target="score", low=0, high=10)

ENDS = np.linspace(5.0, 60.0, 12)


@dataclass(frozen=True)
class MadeUp:
    """Patients of one hospital.

    Attributes:
        prediction: of the model.
        truth: true survival, as a prediction.
        labels: [P, 2] observed time and event.
        times: [P] true times.
    """

    prediction: SurvivalPrediction
    truth: SurvivalPrediction
    labels: Array
    times: Array

    @property
    def labelled(self) -> Mask:
        return np.ones(self.labels.shape, dtype=np.bool_)


def made_up(
    patients: int, level: float, seed: int, slope: float = 1.0, censored_after: float = 40.0
) -> MadeUp:
    """Draw patients whose true log hazard is `level` above the model's, with `slope` of its spread."""
    rng = np.random.default_rng(seed)
    risk = rng.normal(0, 0.8, patients)
    hazard = 0.01 * np.exp(risk)
    times = rng.exponential(1 / hazard)
    lost = rng.exponential(censored_after, patients)
    labels = np.stack([np.minimum(times, lost), times <= lost], axis=1).astype(np.float64)
    said = 0.01 * np.exp(risk / slope - level)
    return MadeUp(curves(said), curves(hazard), labels, times)


def curves(hazard: Array) -> SurvivalPrediction:
    survival = np.exp(-hazard[:, None] * ENDS)
    return SurvivalPrediction(-survival.mean(axis=1), ENDS, survival)
