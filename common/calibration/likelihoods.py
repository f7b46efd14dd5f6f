"""Log-likelihoods of what a hospital tells about a count, at the levels of a grid."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats as laws

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Tally:
    """Count of events as a hospital tells it.

    Attributes:
        events: None where it keeps the number, which is then below `least`, or above `patients - least`.
        patients: of whom the events are.
        least: the hospital's minimum count.
    """

    events: int | None
    patients: int
    least: int


def poisson(tally: Tally, expected: Array) -> Array:
    """Return the log-likelihood of events in time, by their expected number [levels]."""
    return _of(tally, laws.poisson(expected))


def binomial(tally: Tally, share: Array) -> Array:
    """Return the log-likelihood of patients with an outcome, by their expected share [levels]."""
    return _of(tally, laws.binom(tally.patients, share))


def _of(tally: Tally, law: Any) -> Array:
    if tally.events is not None:
        exact: Array = law.logpmf(tally.events)
        return exact
    kept: Array = np.logaddexp(law.logcdf(tally.least - 1), law.logsf(tally.patients - tally.least))
    return kept
