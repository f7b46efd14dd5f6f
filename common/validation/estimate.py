"""Figure with its 95% interval, as validation writes it."""

import math
from typing import Self

from pydantic import BaseModel, ConfigDict

NORMAL = 1.959963984540054
"""97.5% quantile of the normal distribution."""


class ValidationRecord(BaseModel):
    """Base of the records of a validation, which are JSON without NaN."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class IntervalEstimate(ValidationRecord):
    """Figure with the ends of its 95% interval; None where they are undefined."""

    value: float | None = None
    low: float | None = None
    high: float | None = None

    @classmethod
    def of(cls, value: float, low: float = math.nan, high: float = math.nan) -> Self:
        """Make an estimate of numbers that may be NaN or infinite; no figure has no interval."""
        if not math.isfinite(value):
            return cls()
        return cls(value=float(value), low=_finite(low), high=_finite(high))

    @classmethod
    def around(cls, value: float, error: float) -> Self:
        """Make an estimate from a standard error."""
        return cls.of(value, value - NORMAL * error, value + NORMAL * error)

    @classmethod
    def factor(cls, value: float, error: float) -> Self:
        """Make an estimate of a positive ratio from the standard error of its logarithm."""
        with_error = math.exp(min(NORMAL * error, 700.0)) if error == error else math.nan
        return cls.of(value, value / with_error, value * with_error)

    def text(self, digits: int = 2, missing: str = "—") -> str:
        """Write the figure and its interval, as in `0.67 (0.64 to 0.70)`."""
        if self.value is None:
            return missing
        if self.low is None or self.high is None:
            return f"{self.value:.{digits}f}"
        return f"{self.value:.{digits}f} ({self.low:.{digits}f} to {self.high:.{digits}f})"


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
