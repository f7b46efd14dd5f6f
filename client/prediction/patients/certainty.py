"""Calibration and intervals of predictions at a hospital, from the tables of a release."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from client.prediction.provenance import TaskCalibrated
from common.calibration.calibrating import calibrated
from common.counting import written
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.intervals.answering import class_sets, label_sets, number_ranges
from common.intervals.scores import lower_bound
from common.intervals.shapes import outcomes_of as outcomes_with_intervals
from common.release.calibration_table import OutcomeCalibration, said
from common.tasks.task import Task

if TYPE_CHECKING:
    from common.prediction.network import Network

ERRORS = 1.645
"""Standard errors of the level on either side, within which it is with 90% certainty."""


class Certainty:
    """Calibration and intervals at one hospital.

    Args:
        network: the model with its tables.
        hospital: name of the hospital; one without a part in the run has the pooled figures.
    """

    def __init__(self, network: "Network", hospital: str) -> None:
        self._calibration, self._intervals, self._hospital = network.calibration, network.intervals, hospital

    @property
    def everywhere(self) -> bool:
        """Whether every task is calibrated at this hospital."""
        said_of = self.said()
        return bool(said_of) and all(state.yes for state in said_of.values())

    def calibrated(self, task: Task, prediction: Prediction) -> Prediction:
        """Move a prediction to the level of the hospital."""
        return calibrated(prediction, task, self._calibration, self._hospital)

    def said(self) -> dict[str, TaskCalibrated]:
        """Say by task whether it is calibrated here."""
        tasks = {} if self._calibration is None else self._calibration.tasks
        return {name: self._said(made) for name, made in tasks.items()}

    def _said(self, made: dict[str, OutcomeCalibration]) -> TaskCalibrated:
        events = min(outcome.events for outcome in made.values())
        rows = [outcome.hospitals.get(self._hospital) for outcome in made.values()]
        if all(outcome.pooled is None for outcome in made.values()):
            return TaskCalibrated(yes=False, here=None, events=events, words=said(made))
        if any(
            outcome.pooled is not None and self._hospital not in outcome.hospitals
            for outcome in made.values()
        ):
            words = f"no, only for the hospitals of the run together, {said(made)}"
            return TaskCalibrated(yes=False, here=None, events=events, words=words)
        if any(row is None for row in rows):
            return TaskCalibrated(yes=False, here=None, events=events, words=said(made))
        observed = [row.observed for row in rows if row is not None and row.observed is not None]
        if len(observed) < len(rows):
            words = f"yes, {said(made)}, of which too few are from here to be told"
            return TaskCalibrated(yes=True, here=None, events=events, words=words)
        here = int(min(observed)) if all(float(number).is_integer() for number in observed) else None
        words = f"yes, {said(made)}" + ("" if here is None else f", {here} of them here")
        return TaskCalibrated(yes=True, here=here, events=events, words=words)

    def figures(
        self, task: Task, prediction: Prediction, row: int, horizons: Sequence[float]
    ) -> dict[str, Any]:
        """Return the intervals of a patient's forecast, by the forecast's fields.

        Args:
            task: of the model.
            prediction: as the model makes it, before calibration.
            row: of the patient.
            horizons: of a time to an event.
        """
        here = prediction.select(np.array([row]))
        if isinstance(here, SurvivalPrediction):
            return {"risk_interval": self._risk(task, here, horizons), "bound": self._bounds(task, here)}
        thresholds = self._thresholds(task)
        if isinstance(here, ClassPrediction | LabelPrediction):
            return {
                "possible": {share: _possible(task, here, limits) for share, limits in thresholds.items()}
            }
        if isinstance(here, NumberPrediction):
            low, high = task.moment_limits()
            ranges = {
                share: number_ranges(here, limits[0], float(low[0]), float(high[0]))
                for share, limits in thresholds.items()
            }
            return {
                "interval": {
                    share: (float(ends.low[0]), float(ends.high[0])) for share, ends in ranges.items()
                }
            }
        return {}

    def _risk(
        self, task: Task, here: SurvivalPrediction, horizons: Sequence[float]
    ) -> dict[str, tuple[float, float]]:
        ends = []
        for errors in (-ERRORS, ERRORS):
            moved = calibrated(here, task, self._calibration, self._hospital, errors)
            if moved is here:
                return {}
            assert isinstance(moved, SurvivalPrediction)
            ends.append(1 - moved.at(horizons)[0])
        return {
            written(horizon): (float(low), float(high))
            for horizon, low, high in zip(horizons, *ends, strict=True)
        }

    def _bounds(self, task: Task, here: SurvivalPrediction) -> dict[str, float]:
        return {
            share: float(lower_bound(here, limits[0])[0]) for share, limits in self._thresholds(task).items()
        }

    def _thresholds(self, task: Task) -> dict[str, list[float]]:
        """Return the thresholds of every outcome by share of cases; none where an outcome has none."""
        made = {} if self._intervals is None else self._intervals.tasks.get(task.name, {})
        rows = [
            made[name].at(self._hospital) if name in made else () for name in outcomes_with_intervals(task)
        ]
        if self._intervals is None or not rows or not all(rows):
            return {}
        return {
            f"{level:.0%}": [row[column] for row in rows]
            for column, level in enumerate(self._intervals.levels)
        }


def _possible(
    task: Task, here: ClassPrediction | LabelPrediction, thresholds: Sequence[float]
) -> tuple[str, ...]:
    if isinstance(here, ClassPrediction):
        possible = class_sets(here, thresholds[0])[0]
        return tuple(name for name, holds in zip(task.outcome_names, possible, strict=True) if holds)
    names = []
    for column, (label, threshold) in enumerate(zip(task.outcome_names, thresholds, strict=True)):
        happens, stays_out = label_sets(here, column, threshold)
        names += [label] * bool(happens[0]) + [f"no {label}"] * bool(stays_out[0])
    return tuple(names)
