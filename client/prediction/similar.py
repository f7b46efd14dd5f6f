"""Observed survival of the hospitals' held-out patients with a risk like a patient's."""

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from client.prediction.record import ForecastPart
from common.evaluation.predictions import Prediction, SurvivalPrediction
from common.release.members import VALIDATION
from common.tasks.task import Task
from common.validation.sums.shapes import horizons_asked, main_horizon
from common.validation.sums.table import ValidationTable

if TYPE_CHECKING:
    from common.prediction.network import Network

THIRDS = ("lower", "middle", "upper")


class SimilarPatients(ForecastPart):
    """Survival of a third of the hospitals' held-out patients by predicted risk.

    Attributes:
        third: lower, middle or upper.
        horizon: time by which the risk was divided into thirds.
        patients: in the third.
        times: in the task's unit.
        survival: observed probability of no event up to each time, of grouped times by Kaplan-Meier.
    """

    third: str
    horizon: float
    patients: int
    times: tuple[float, ...]
    survival: tuple[float, ...]

    def risk(self, time: float) -> float | None:
        """Return the observed probability of an event by a time; None beyond the last one."""
        if time > self.times[-1]:
            return None
        return 1 - float(np.interp(time, (0.0, *self.times), (1.0, *self.survival)))


def similar_to(network: "Network", task: Task, prediction: SurvivalPrediction) -> SimilarPatients | None:
    """Return the third in which a patient's risk lies.

    Args:
        network: with the validation of its release, if that has one.
        task: with the time to an event.
        prediction: of one patient, as the model makes it: thirds were made before calibration.

    Returns:
        The third; None without a validation, or if hospitals had too few patients for it.

    Raises:
        InputError: if the validation has another form.
    """
    outcomes = () if network.validation is None else _table(network.validation).tasks.get(task.name, ())
    if not outcomes or not outcomes[0].thirds:
        return None
    thirds = outcomes[0].thirds
    horizon = horizons_asked(task)[main_horizon(task)]
    risk = float(1 - prediction.at([horizon])[0, 0])
    number = int(np.searchsorted([third.below for third in thirds[:-1]], risk, side="right"))
    return SimilarPatients(
        third=THIRDS[number],
        horizon=horizon,
        patients=thirds[number].patients,
        times=thirds[number].times,
        survival=thirds[number].survival,
    )


def similar_figures(
    network: "Network", task: Task, prediction: Prediction, row: int
) -> dict[str, SimilarPatients | None]:
    """Return the third by the field of a forecast; nothing without a time to an event."""
    if not isinstance(prediction, SurvivalPrediction):
        return {}
    return {"similar": similar_to(network, task, prediction.select(np.array([row])))}


@lru_cache(maxsize=1)
def _table(content: bytes) -> ValidationTable:
    return ValidationTable.of_content(content, VALIDATION)
