"""Check of the members of a release beside its weights, before its first forecast."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from common.agreement.federation import Federation
from common.calibration.possible import impossible_outcomes
from common.calibration.shapes import outcomes_of as outcomes_with_levels
from common.errors import InvalidContentError
from common.intervals.shapes import outcomes_of as outcomes_with_intervals
from common.release.members import CALIBRATION, INTERVALS, STRUCTURE, TEST, VALIDATION
from common.structure.content import read_structure
from common.validation.sums.table import ValidationTable

if TYPE_CHECKING:
    from common.prediction.network import Network

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
    for content, name in ((network.validation, VALIDATION), (network.test, TEST)):
        if content is not None:
            ValidationTable.of_content(content, f"{where}, {name}")
    if network.calibration is not None:
        levels = {task.name: outcomes_with_levels(task) for task in federation.tasks}
        _require(network.calibration.tasks, levels, f"{where}, {CALIBRATION}")
        for name in impossible_outcomes(federation.tasks, network.calibration):
            what = f"has a level of {name} that no fit gives"
            raise InvalidContentError(f"{where}, {CALIBRATION}", what, _REMEDY)
    if network.intervals is not None:
        intervals = {task.name: outcomes_with_intervals(task) for task in federation.tasks}
        _require(network.intervals.tasks, intervals, f"{where}, {INTERVALS}")


def _require(
    tasks: Mapping[str, Mapping[str, object]], outcomes: Mapping[str, tuple[str, ...]], where: str
) -> None:
    for task, made in tasks.items():
        if made.keys() != {*outcomes.get(task, ())}:
            what = f"is about other outcomes of {task} than the federation file has"
            raise InvalidContentError(where, what, _REMEDY)
