"""Check of the members of a release beside its weights, before its first forecast."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from common.agreement.federation import Federation
from common.calibration.shapes import outcomes_of as outcomes_with_levels
from common.errors import InvalidContentError
from common.intervals.shapes import outcomes_of as outcomes_with_intervals
from common.release.calibration_table import NUMBER, CalibrationTable
from common.release.members import CALIBRATION, INTERVALS, STRUCTURE, VALIDATION
from common.structure.content import read_structure
from common.validation.sums.table import ValidationTable

if TYPE_CHECKING:
    from common.prediction.network import Network

FARTHEST_LEVEL, STEEPEST = 20.0, 10.0
"""Farthest level and error of hazards and odds, and steepest slope: a fit stays within 6, and within 2."""

_REMEDY = "ask the coordinator for a release whose members belong together"


def require_members(network: "Network", where: str) -> None:
    """Require members that forecasts of this network can use.

    Args:
        network: of a release.
        where: file of the release, for errors.

    Raises:
        InputError: naming the member that is about other outcomes, or cannot be read.
    """
    federation = network.federation
    if not isinstance(federation, Federation):
        return
    if network.structure is not None:
        read_structure(network.structure, federation, f"{where}, {STRUCTURE}")
    if network.validation is not None:
        ValidationTable.of_content(network.validation, f"{where}, {VALIDATION}")
    if network.calibration is not None:
        levels = {task.name: outcomes_with_levels(task) for task in federation.tasks}
        _require(network.calibration.tasks, levels, f"{where}, {CALIBRATION}")
        _require_levels(network.calibration, f"{where}, {CALIBRATION}")
    if network.intervals is not None:
        intervals = {task.name: outcomes_with_intervals(task) for task in federation.tasks}
        _require(network.intervals.tasks, intervals, f"{where}, {INTERVALS}")


def _require_levels(table: CalibrationTable, where: str) -> None:
    """Require levels of hazards and odds that a fit can give, and that keep figures finite."""
    for made in table.tasks.values():
        for name, outcome in made.items():
            rows = [*outcome.hospitals.values(), *([outcome.pooled] if outcome.pooled else [])]
            farthest = max([abs(part) for row in rows for part in (row.level, row.error)], default=0.0)
            if outcome.slope > STEEPEST or (name != NUMBER and farthest > FARTHEST_LEVEL):
                raise InvalidContentError(where, f"has a level of {name} that no fit gives", _REMEDY)


def _require(
    tasks: Mapping[str, Mapping[str, object]], outcomes: Mapping[str, tuple[str, ...]], where: str
) -> None:
    for task, made in tasks.items():
        if made.keys() != {*outcomes.get(task, ())}:
            what = f"is about other outcomes of {task} than the federation file has"
            raise InvalidContentError(where, what, _REMEDY)
