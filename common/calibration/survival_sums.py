"""Sums by which survival curves are calibrated: events, and expected events by slope.

A calibrated cumulative hazard is `exp(level) * H(t)**slope * R(t)**(1 - slope)`. R(t) is the share of the training
patients' events that the hazard intervals place before t, the same for all patients: at every time patients keep their
order, a slope below 1 draws them together, and the course in time is left as it is. With slope 1 the level is the
logarithm of observed over expected events, where a patient's expected events are the cumulative hazard up to the end
of the follow-up (Crowson, Atkinson & Therneau 2016, Assessing calibration of prognostic risk scores).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.calibration.shapes import MOST_EVIDENCE, MOST_EXPECTED, SAME_SLOPE, SLOPES
from common.evaluation.predictions import Mask, SurvivalPrediction

Array = NDArray[np.float64]

FARTHEST = 6.0
"""Farthest that a patient's log cumulative hazard counts from the logarithm of the share R."""

_SMALLEST, _STEEPEST = 1e-12, 4.0


@dataclass(frozen=True)
class OwnCalibration:
    """Numbers that P patients add to the sums.

    Attributes:
        events: [P] float64, 1 for an event up to the end of the last interval.
        expected: [P, slopes] expected events up to a patient's own time.
        evidence: [P, slopes] log-likelihood of an event by slope, less that of slope 1; 0 without an event.
    """

    events: Array
    expected: Array
    evidence: Array


def own_calibration(prediction: SurvivalPrediction, time: Array, event: Mask) -> OwnCalibration:
    """Compute what every patient adds.

    Args:
        prediction: of P patients.
        time: [P] observed, in the unit of the curves; later than the last interval counts as its end.
        event: [P] whether it is the time of an event.
    """
    ends, curves = prediction.from_start()
    curves = curves.clip(_SMALLEST, 1.0)
    shares = np.concatenate([[0.0], reference(len(prediction.times))])
    seen = time.clip(ends[1] * 1e-6, ends[-1])
    right = np.searchsorted(ends, seen).clip(1, len(ends) - 1)
    rows, width = np.arange(len(time)), ends[right] - ends[right - 1]
    within = (seen - ends[right - 1]) / width
    before, after = curves[rows, right - 1], curves[rows, right]
    survival = before + within * (after - before)
    share = shares[right - 1] + within * (shares[right] - shares[right - 1])
    hazard = (-np.log(survival)).clip(_SMALLEST)
    distance = _distance(hazard, share)
    steepness = (
        (before - after) / (width * survival) / hazard * share * width / (shares[right] - shares[right - 1])
    )
    steepness = steepness.clip(1 / _STEEPEST, _STEEPEST)
    happened = (event & (time <= ends[-1])).astype(np.float64)
    slopes = np.array(SLOPES)
    log_ratio = (slopes - 1) * distance[:, None]
    expected = (hazard[:, None] * np.exp(log_ratio)).clip(0.0, MOST_EXPECTED)
    turned = np.log(slopes * steepness[:, None] + 1 - slopes) - np.log(steepness)[:, None]
    evidence = ((log_ratio + turned) * happened[:, None]).clip(-MOST_EVIDENCE, MOST_EVIDENCE)
    return OwnCalibration(happened, expected, evidence)


def recalibrated(prediction: SurvivalPrediction, level: float, slope: float) -> SurvivalPrediction:
    """Move the curves by a level and a slope; the order of patients stays."""
    hazard = -np.log(prediction.survival.clip(_SMALLEST, 1 - _SMALLEST))
    share = reference(len(prediction.times))[None, :]
    moved = hazard * np.exp(level + (slope - 1) * _distance(hazard, share))
    survival = np.exp(-np.maximum.accumulate(moved, axis=1))
    return SurvivalPrediction(prediction.risk, prediction.times, survival)


def reference(intervals: int) -> Array:
    """Share [intervals] of the training patients' events up to the end of each hazard interval."""
    return np.append(np.arange(1, intervals), intervals - 0.5) / intervals


def best_slope(events: Array, expected: Array, evidence: Array) -> tuple[int, float]:
    """Return the index of the likeliest slope, and twice its gain in log-likelihood over 1.

    Every hospital has a level of its own at every slope: differences between hospitals are no matter of the slope. The
    gain is 0 of a slope that is no likelier than 1 without one of several hospitals: none decides alone.

    Args:
        events: [S] of hospitals that gave evidence.
        expected, evidence: [S, slopes] their sums.
    """
    of_sites = evidence - events[:, None] * np.log(expected.clip(_SMALLEST))
    best = int(np.argmax(of_sites.sum(axis=0)))
    gains = 2 * (of_sites[:, best] - of_sites[:, SAME_SLOPE])
    total = float(gains.sum())
    return best, 0.0 if len(gains) > 1 and (total - gains <= 0).any() else total


def _distance(hazard: Array, share: Array) -> Array:
    distance: Array = (np.log(hazard.clip(_SMALLEST)) - np.log(share)).clip(-FARTHEST, FARTHEST)
    return distance
