"""Forecast of a patient by task, as it is printed and written as JSON.

A forecast names its patient, so that it is for the eyes of the hospital: nothing here is logged, or put into an error.
"""

from pydantic import Field

from client.prediction.change import NO_EFFECT, Changes
from client.prediction.record import ForecastPart
from client.prediction.similar import SimilarPatients
from common.errors import escaped
from common.explanation.explanation import CAVEAT, Explanation
from common.structure.answer import Answer

IN_A_LINE = 4
"""Probabilities that stand in one line."""


class SurvivalForecast(ForecastPart):
    """Forecast of a time to an event.

    Attributes:
        unit: of time.
        times: at which survival is given, the last one being the end of what the model has seen.
        survival: probability of no event up to and including each time.
        risk: horizon, as text -> probability of an event by then.
        median: time at which survival falls to a half; None if it does not up to the last time.
        risk_interval: horizon -> ends within which the risk is with 90% certainty, as far as its level goes; empty
            where nothing is calibrated.
        bound: share of cases, as text -> time that the patient's exceeds in so many; empty without intervals.
        similar: hospitals' held-out patients in the same third of risk; None where there were too few.
    """

    unit: str
    times: tuple[float, ...]
    survival: tuple[float, ...]
    risk: dict[str, float]
    median: float | None
    risk_interval: dict[str, tuple[float, float]] = Field(default_factory=dict)
    bound: dict[str, float] = Field(default_factory=dict)
    similar: SimilarPatients | None = None

    def line(self) -> str:
        """Write risk, median and bounds as a line."""
        risks = ", ".join(f"{self._risk(horizon)} by {horizon} {self.unit}" for horizon in self.risk)
        if self.median is None:
            middle = f"more than half of such patients are expected beyond {self.times[-1]:.3g} {self.unit}"
        else:
            middle = f"median time {self.median:.3g} {self.unit}"
        bounds = "".join(
            f"; in {share} of cases later than {time:.3g} {self.unit}" for share, time in self.bound.items()
        )
        return f"risk {risks}; {middle}{bounds}"

    def _risk(self, horizon: str) -> str:
        ends = self.risk_interval.get(horizon)
        between = "" if ends is None else f" ({percent(ends[0])} to {percent(ends[1])})"
        return f"{percent(self.risk[horizon])}{between}"


class OutcomeForecast(ForecastPart):
    """Forecast of classes, whose probabilities add up to 1, or of labels, each by itself.

    Attributes:
        probability: by class or label.
        possible: share of cases, as text -> what holds the outcome in so many: classes, or labels and "no LABEL"; empty
            without intervals.
    """

    probability: dict[str, float]
    possible: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    def line(self) -> str:
        """Write the probabilities as a line, or each on its own where there are many."""
        shares = [f"{name} {percent(share)}" for name, share in self.probability.items()]
        sets = [f"possible in {share} of cases: {', '.join(names)}" for share, names in self.possible.items()]
        if len(shares) <= IN_A_LINE:
            return "; ".join([", ".join(shares), *sets])
        return "".join(f"\n    {line}" for line in [*shares, *sets])


class NumberForecast(ForecastPart):
    """Forecast of a number, in its unit.

    Attributes:
        unit: of the number.
        value: the number.
        interval: share of cases, as text -> ends that hold the number in so many; empty without intervals.
    """

    unit: str
    value: float
    interval: dict[str, tuple[float, float]] = Field(default_factory=dict)

    def line(self) -> str:
        """Write the number with its unit."""
        ranges = "".join(
            f"; {share} between {low:.4g} and {high:.4g}" for share, (low, high) in self.interval.items()
        )
        return f"{self.value:.4g} {self.unit}".rstrip() + ranges


Forecast = SurvivalForecast | OutcomeForecast | NumberForecast
"""Forecast of one task."""


class PatientForecast(ForecastPart):
    """Forecast of a patient.

    Attributes:
        patient: identifier.
        observed: modality -> share of the columns that the model uses of which the patient has a value.
        answer: whether the patient can be predicted, by the tables.
        warnings: sentences on what is unlike training patients in the tables, and its likely cause.
        tasks: task -> its forecast; none where the answer is no prediction.
        explanations: of the forecasts; none if they were not asked for.
        changes: of the explained numbers by other values of actionable columns; none where the federation file marks
            none, or they were not measured.
    """

    patient: str
    observed: dict[str, float]
    answer: Answer = Answer.FINE
    warnings: tuple[str, ...] = ()
    tasks: dict[str, Forecast]
    explanations: tuple[Explanation, ...] = ()
    changes: tuple[Changes, ...] = ()

    def lines(self) -> list[str]:
        """Write the forecast as lines."""
        seen = ", ".join(f"{name} {percent(share)}" for name, share in self.observed.items() if share)
        absent = [name for name, share in self.observed.items() if not share]
        missing = f"; not measured: {', '.join(absent)}" if absent else ""
        lines = [f"Patient {escaped(self.patient)}", f"  measured: {seen}{missing}"]
        lines += [f"  {self.answer.upper()} {warning}" for warning in self.warnings]
        lines += [f"  {name}: {task.line()}" for name, task in self.tasks.items()]
        lines += [line for explanation in self.explanations for line in explanation.lines()]
        lines += [f"  {CAVEAT}"] if self.explanations else []
        lines += [line for change in self.changes for line in change.lines()]
        return lines + ([f"  {NO_EFFECT}"] if self.changes else [])


def percent(share: float) -> str:
    """Write a share in whole percent; JSON has the digits."""
    if 0 < share < 0.01:
        return "<1%"
    return ">99%" if 0.99 < share < 1 else f"{share:.0%}"
