"""Changes of a forecast by other values, as they are printed and written as JSON."""

from client.prediction.record import ForecastPart
from common.counting import written

LOWER_BY = 0.1
"""Share by which a change has to lower a number to be named."""

NO_EFFECT = (
    "The model answers here for another patient, who has that value and everything else alike: this is no effect of a"
    " treatment, and changing the value need not change the outcome."
)
"""Sentence below the changes of a patient's forecasts."""


class ChangedValue(ForecastPart):
    """Forecast with one value replaced.

    Attributes:
        value: in the column's unit, or the level.
        number: that is forecast with it.
    """

    value: str
    number: float


class ChangedColumn(ForecastPart):
    """Forecasts with the values of one column replaced.

    Attributes:
        modality: of the column.
        column: its name.
        unit: of its values.
        value: of the patient; empty where the federation file transforms or clips values.
        levels: whether it is a category.
        values: over the plausible range from its low to its high end, or all levels.
        nearest: the value next to the patient's that lowers a risk by `LOWER_BY` of it; None of a category, whose
            levels are in no order, of what is no risk, and where no value does.
    """

    modality: str
    column: str
    unit: str
    value: str
    levels: bool
    values: tuple[ChangedValue, ...]
    nearest: ChangedValue | None


class Changes(ForecastPart):
    """Forecasts of one number with values replaced, one at a time.

    Attributes:
        task: its name.
        outcome: class or label; empty for a time or a number.
        horizon: time by which the risk is forecast; None without a time.
        unit: of the horizon or the number.
        number: that was forecast.
        is_risk: whether less is better: of an event or an adverse event, and not of a class or a number.
        columns: that are marked `actionable` and were measured.
    """

    task: str
    outcome: str
    horizon: float | None
    unit: str
    number: float
    is_risk: bool = True
    columns: tuple[ChangedColumn, ...]

    def lines(self) -> list[str]:
        """Write the changes as lines, without the sentence on what they are not."""
        by = "" if self.horizon is None else f" risk by {written(self.horizon)} {self.unit}"
        which = f"{self.task}{by}{f' {self.outcome}' if self.outcome else ''}"
        lines = [f"  {which} is {self._said(self.number)}; if one value alone were another:"]
        return [*lines, *(f"    {self._line(column)}" for column in self.columns)]

    def _line(self, column: ChangedColumn) -> str:
        of = f" = {column.value} {column.unit}".rstrip(" =") if column.value else ""
        name = f"{column.modality} {column.column}{of}"
        if column.levels:
            answers = ", ".join(f"{level.value} {self._said(level.number)}" for level in column.values)
            return f"{name}: {answers}"
        ends = column.values[0], column.values[-1]
        answers = " and ".join(f"{self._said(end.number)} at {end.value}" for end in ends)
        if not self.is_risk:
            return f"{name}: {answers}"
        nearest = column.nearest
        if nearest is None:
            return f"{name}: {answers}; nothing in the plausible range lowers it by a tenth"
        value = f"{nearest.value} {column.unit}".rstrip()
        lowered = (
            f"the smallest change that lowers it by a tenth is to {value} ({self._said(nearest.number)})"
        )
        return f"{name}: {answers}; {lowered}"

    def _said(self, number: float) -> str:
        is_number = self.horizon is None and not self.outcome
        return f"{number:.4g} {self.unit}".rstrip() if is_number else f"{number:.1%}"
