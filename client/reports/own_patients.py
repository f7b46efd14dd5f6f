"""Hospital's own training patients beside those of all hospitals, column by column."""

from pydantic import BaseModel, ConfigDict

from client.rounds.site import Site
from common.baseline.beside import pooled_cells
from common.baseline.lines import baseline_lines_of
from common.baseline.table import BaselineCell, baseline_cell
from common.records import Prepared


class OwnBaselineRow(BaseModel):
    """Line of the baseline table of one hospital.

    Attributes:
        part, label, unit: as in `common.baseline.table.BaselineRow`.
        ours: of the hospital's own training patients, exactly; None where nobody has a value.
        everyone: of all hospitals' training patients, by the run's scaling; None where it does not say.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    part: str
    label: str
    unit: str
    ours: BaselineCell | None
    everyone: BaselineCell | None


def own_baseline(site: Site, prepared: Prepared) -> tuple[OwnBaselineRow, ...]:
    """Make the hospital's own baseline table; it never leaves, and no count in it is withheld."""
    agreement = site.federation
    lines = baseline_lines_of(agreement)
    if not lines:
        return ()
    training, _ = site.split_records(-1)
    sums = site.family.statistics(training, agreement, 1).moments
    pooled = pooled_cells(agreement, lines, prepared)
    return tuple(
        OwnBaselineRow(
            part=line.part, label=line.label, unit=line.unit, ours=baseline_cell(line, sums), everyone=cell
        )
        for line, cell in zip(lines, pooled, strict=True)
    )
