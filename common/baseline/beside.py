"""Cells of all hospitals' patients from a run's scaling, for a hospital without their sums."""

from collections.abc import Sequence

from common.agreement.agreement import Agreement
from common.baseline.lines import BaselineLine
from common.baseline.table import BaselineCell, cell_of
from common.patients.preprocessing import Preprocessing
from common.records import Prepared


def pooled_cells(
    agreement: Agreement, lines: Sequence[BaselineLine], prepared: Prepared
) -> list[BaselineCell | None]:
    """Return a cell by line, without counts: mean and deviation, or the share of a level.

    None for outcomes, for modalities with one line, for columns that no hospital could report, and where scaling is not
    made of patients' sums.
    """
    is_declared = agreement.privacy is not None and agreement.privacy.statistics == "declared"
    if is_declared or not isinstance(prepared, Preprocessing):
        return [None] * len(lines)
    return [_cell(line, prepared) for line in lines]


def _cell(line: BaselineLine, prepared: Preprocessing) -> BaselineCell | None:
    if not line.modality or line.index is None:
        return None
    center, spread = (float(part[line.modality][line.index]) for part in (prepared.center, prepared.spread))
    if spread == float("inf") or (center, spread) == (0.0, 1.0):
        return None
    return cell_of(line, 0, center, spread)
