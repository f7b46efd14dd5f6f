"""Observed risk by a horizon under censoring: Kaplan-Meier, inverse censoring weights.

An outcome without censoring (a class or an adverse event) is the special case `without_time`, in which Kaplan-Meier is
the share of patients and every weight is 1.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Rows = NDArray[np.intp]

LEAST_UNCENSORED = 0.05
"""Least probability of being uncensored in a weight: rarer patients would each stand for more than twenty."""


@dataclass(frozen=True)
class Outcomes:
    """Follow-up of P patients and a horizon.

    Attributes:
        time: [P] time of event or censoring.
        event: [P] whether the event was seen.
        horizon: time by which the risk is asked, in the same unit.
    """

    time: Array
    event: Mask
    horizon: float

    @classmethod
    def without_time(cls, happened: Mask) -> Self:
        """Outcomes [P] that everybody either has or has not."""
        return cls(np.where(happened, 0.0, 1.0), happened, 0.5)

    def __len__(self) -> int:
        """Number of patients."""
        return len(self.time)

    def select(self, rows: Rows | Mask) -> Self:
        """Select patients by index or mask."""
        return type(self)(self.time[rows], self.event[rows], self.horizon)

    @property
    def had(self) -> Mask:
        """Whether a patient had the event by the horizon [P]."""
        return self.event & (self.time <= self.horizon)

    @property
    def spared(self) -> Mask:
        """Whether a patient was followed up to the horizon without the event [P]."""
        spared: Mask = (self.time > self.horizon) | ((self.time == self.horizon) & ~self.event)
        return spared


@dataclass(frozen=True)
class ObservedRisk:
    """Risk by the horizon as it was observed, and its standard error."""

    risk: float
    error: float


def observed_risk(outcomes: Outcomes) -> ObservedRisk:
    """Estimate 1 - S(horizon) by Kaplan & Meier (1958), with the error of Greenwood (1926).

    NaN if the last patient is censored before the horizon, where the estimate is undefined.
    """
    time, event, horizon = outcomes.time, outcomes.event, outcomes.horizon
    if not len(time):
        return ObservedRisk(float("nan"), float("nan"))
    last = time.max()
    if last < horizon and not event[time == last].all():
        return ObservedRisk(float("nan"), float("nan"))
    times, at_risk, events, _ = _table(time, event)
    by = times <= horizon
    at_risk, events = at_risk[by], events[by]
    survival = float(np.prod(1 - events / at_risk))
    left = at_risk - events
    spread = float((events[left > 0] / (at_risk * np.maximum(left, 1))[left > 0]).sum())
    return ObservedRisk(1 - survival, survival * spread**0.5)


def censoring_weights(outcomes: Outcomes) -> Array:
    """Weight patients [P] by the inverse probability of being uncensored (Graf et al. 1999).

    That probability is the Kaplan-Meier estimate of censoring just before an event, and at the horizon for patients who
    were spared; it is cut at `LEAST_UNCENSORED`. Who was censored before the horizon weighs 0.
    """
    if not len(outcomes):
        return np.zeros(0)
    times, at_risk, events, censored = _table(outcomes.time, outcomes.event)
    left = np.maximum(at_risk - events, 1)  # at one time, an event comes before a censoring
    uncensored = np.concatenate([[1.0], np.cumprod(1 - censored / left)])
    before = uncensored[np.searchsorted(times, outcomes.time, side="left")]
    at_horizon = uncensored[np.searchsorted(times, outcomes.horizon, side="left")]
    weights = np.where(outcomes.spared, 1 / max(at_horizon, LEAST_UNCENSORED), 0.0)
    had = outcomes.had
    weights[had] = 1 / np.maximum(before[had], LEAST_UNCENSORED)
    return weights


def _table(time: Array, event: Mask) -> tuple[Array, Array, Array, Array]:
    """Return distinct times [T] with patients at risk, events and censorings at each."""
    times, position = np.unique(time, return_inverse=True)
    events = np.bincount(position, event, len(times))
    leaving = np.bincount(position, minlength=len(times))
    at_risk = len(time) - np.concatenate([[0], np.cumsum(leaving)[:-1]])
    return times, at_risk.astype(np.float64), events.astype(np.float64), (leaving - events).astype(np.float64)
