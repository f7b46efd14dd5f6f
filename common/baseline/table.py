"""Baseline table ("Table 1"): patients by hospital, and of all hospitals together.

It is made of the sums that hospitals send for preprocessing anyway, over their training patients, and of nothing that
the statistics exchange did not bring: an entry about fewer patients than a hospital's minimum count is not in it, and a
category of which one level is, is not there at all.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from common.agreement.agreement import Agreement
from common.agreement.federation import Federation
from common.baseline.lines import BaselineLine, BaselineMeasure, baseline_lines

Moments = Mapping[str, NDArray[np.float64]]
"""Name of sums -> count, sum and sum of squares [3, N], as in `common.messages.statistics.SiteStatistics`."""


class BaselineCell(BaseModel):
    """Figures of a line among some patients.

    Attributes:
        patients: in whom it was observed; 0 where that is not known.
        value: mean, share of patients with the level, or the mean of logarithms turned back.
        low, high: one standard deviation about a mean; None for a share.
        count: patients with the level; None for a mean.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    patients: int
    value: float | None = None
    low: float | None = None
    high: float | None = None
    count: int | None = None

    def text(self) -> str:
        """Write the figures, as in `61.2 ± 9.8`, `24 (18 to 33)` or `112 (48%)`."""
        if self.count is not None:
            return f"{self.count:,} ({100 * self.count / max(self.patients, 1):.0f}%)"
        if self.value is not None and self.low is None:
            return f"{100 * self.value:.0f}%"
        if self.value is None or self.low is None or self.high is None:
            return f"{self.patients:,}"
        half = self.high - self.value
        if math.isclose(half, self.value - self.low, rel_tol=1e-6, abs_tol=1e-12):
            return f"{_rounded(self.value, half)} ± {_rounded(half, half)}"
        spread = (self.high - self.low) / 2
        return " ".join(
            [_rounded(self.value, spread), f"({_rounded(self.low, spread)} to {_rounded(self.high, spread)})"]
        )


class BaselineRow(BaseModel):
    """Line of the table with its cells.

    Attributes:
        part: label of the modality, or Outcomes.
        label, unit, measure: as in `BaselineLine`.
        hospitals: hospital -> its cell; one that withheld the line is not there.
        everyone: the hospitals that told it together; None if none did.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    label: str
    unit: str
    measure: BaselineMeasure
    hospitals: dict[str, BaselineCell]
    everyone: BaselineCell | None


class BaselineTable(BaseModel):
    """Baseline table of a run.

    Attributes:
        patients: hospital -> its training patients, whom the table is about.
        rows: by outcome and column.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    patients: dict[str, int]
    rows: tuple[BaselineRow, ...]


def baseline_table(
    federation: Agreement, sites: Mapping[str, Moments], patients: Mapping[str, int]
) -> BaselineTable | None:
    """Make the table of hospitals' sums; None where there are none, or records are no patients.

    Args:
        federation: the agreement.
        sites: hospital -> its sums.
        patients: hospital -> its training patients.
    """
    if not isinstance(federation, Federation) or not any(sites.values()):
        return None
    rows = []
    for line in baseline_lines(federation):
        cells = {
            site: cell for site, sums in sites.items() if (cell := baseline_cell(line, sums)) is not None
        }
        parts = [sums[line.sums] for site, sums in sites.items() if site in cells]
        everyone = baseline_cell(line, {line.sums: np.sum(parts, axis=0)}) if parts else None
        rows.append(
            BaselineRow(
                part=line.part,
                label=line.label,
                unit=line.unit,
                measure=line.measure,
                hospitals=cells,
                everyone=everyone,
            )
        )
    return BaselineTable(patients=dict(patients), rows=tuple(rows))


def baseline_cell(line: BaselineLine, sums: Moments) -> BaselineCell | None:
    """Make the cell of a line from sums; None if the line is not in them."""
    if line.sums not in sums:
        return None
    if line.index is None:
        most = int(sums[line.sums][0].max(initial=0))
        return BaselineCell(patients=most) if most else None
    count, total, squares = sums[line.sums][:, line.index].tolist()
    if count < 1:
        return None
    mean = total / count
    return cell_of(line, int(count), mean, math.sqrt(max(squares / count - mean**2, 0.0)))


def cell_of(line: BaselineLine, patients: int, mean: float, deviation: float) -> BaselineCell:
    """Make the cell of a line from a mean and a standard deviation, as the sums have them."""
    if line.measure is BaselineMeasure.SHARE:
        return BaselineCell(patients=patients, value=mean, count=round(mean * patients) if patients else None)
    value, low, high = mean, mean - deviation, mean + deviation
    if line.measure is BaselineMeasure.LOG_MEAN:
        value, low, high = (math.copysign(math.expm1(min(abs(x), 700.0)), x) for x in (value, low, high))
    return BaselineCell(patients=patients, value=value, low=low, high=high)


def _rounded(value: float, spread: float) -> str:
    """Write a value with as many digits as its spread resolves: two of the spread's."""
    if spread <= 0 or not math.isfinite(spread):
        return f"{value:.4g}"
    digits = min(max(1 - math.floor(math.log10(spread)), 0), 6)
    return f"{value:,.{digits}f}"
