"""Members of a release that forecasts could not use are refused before the release is."""

from dataclasses import replace
from pathlib import Path

import pytest

from client.prediction.patients.member_checks import require_members
from common.agreement.federation import Federation
from common.errors import InputError, InvalidContentError
from common.prediction.network import Network, released_network
from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration
from common.release.interval_table import IntervalTable, OutcomeIntervals
from common.release.release import read_release
from tests.released import Coordinator

LEVEL, THRESHOLD = OutcomeCalibration(events=4), OutcomeIntervals(patients=9, events=4)


@pytest.fixture
def network(federation: Federation, tmp_path: Path) -> Network:
    coordinator = Coordinator(tmp_path / "coordinator", federation)
    return released_network(read_release(coordinator.write(), coordinator.key.public_key()))


def test_tables_of_the_models_own_outcomes_are_taken(network: Network) -> None:
    levels = {"survival": {"event": LEVEL}, "toxicity": {"rash": LEVEL, "nausea": LEVEL}}
    intervals = IntervalTable(tasks={"response": {"class": THRESHOLD}})
    require_members(network, "x.zip")
    require_members(
        replace(network, calibration=CalibrationTable(tasks=levels), intervals=intervals), "x.zip"
    )


@pytest.mark.parametrize(
    "tasks",
    [
        {"survival": {"other": LEVEL}},
        {"toxicity": {"rash": LEVEL}},
        {"toxicity": {"rash": LEVEL, "nausea": LEVEL, "fever": LEVEL}},
        {"unknown": {"event": LEVEL}},
    ],
)
def test_levels_of_other_outcomes_are_refused(
    network: Network, tasks: dict[str, dict[str, OutcomeCalibration]]
) -> None:
    with pytest.raises(InvalidContentError):
        require_members(replace(network, calibration=CalibrationTable(tasks=tasks)), "x.zip")


def test_thresholds_of_other_outcomes_are_refused(network: Network) -> None:
    table = IntervalTable(tasks={"response": {"yes": THRESHOLD}})
    with pytest.raises(InvalidContentError):
        require_members(replace(network, intervals=table), "x.zip")


def test_members_that_cannot_be_read_are_refused(network: Network) -> None:
    for damaged in (replace(network, structure=b"damaged"), replace(network, validation=b"{}")):
        with pytest.raises(InputError):
            require_members(damaged, "x.zip")


@pytest.mark.parametrize("changes", [{"level": 1e308}, {"level": -50.0}, {"error": 1e9}])
def test_levels_that_no_fit_gives_are_refused(network: Network, changes: dict[str, float]) -> None:
    row = LevelRow(level=0.1, error=0.1, patients=50, observed=20.0, before=18.0, after=20.0)
    for outcome in (
        LEVEL.model_copy(update={"pooled": row.model_copy(update=changes)}),
        LEVEL.model_copy(update={"pooled": row, "hospitals": {"one": row.model_copy(update=changes)}}),
        LEVEL.model_copy(update={"pooled": row, "slope": 1e6}),
    ):
        table = CalibrationTable(tasks={"survival": {"event": outcome}})
        with pytest.raises(InvalidContentError):
            require_members(replace(network, calibration=table), "x.zip")


def test_a_validation_with_numbers_that_are_none_is_refused(network: Network) -> None:
    for content in (b'{"tasks": {"a": []}, "units": {}}', b'{"tasks": {}, "units": {}, "more": NaN}'):
        with pytest.raises(InvalidContentError):
            require_members(replace(network, validation=content), "x.zip")
