import json

import pytest

from common.release.calibration_table import CalibrationTable, LevelRow, OutcomeCalibration, said

ROW = LevelRow(level=0.2, error=0.1, patients=300, observed=45.0, before=36.0, after=44.0)
OWN = ROW.model_copy(update={"level": 0.3, "observed": None})
DONE = OutcomeCalibration(events=45, slope=0.8, deviation=0.1, pooled=ROW, hospitals={"north": OWN})
FEW = OutcomeCalibration(events=11)


def test_a_table_survives_its_file() -> None:
    table = CalibrationTable(tasks={"survival": {"event": DONE}, "response": {"yes": FEW}})
    assert CalibrationTable.read(table.content()) == table


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("format",), 2),
        (("tasks", "survival"), {}),
        (("more",), 1),
        (("tasks", "survival", "event", "slope"), 0.0),
        (("tasks", "survival", "event", "events"), "45"),
        (("tasks", "survival", "event", "pooled", "level"), None),
        (("tasks", "survival", "event", "hospitals", "north", "error"), -1.0),
    ],
)
def test_another_form_is_not_read(path: tuple[str, ...], value: object) -> None:
    content = json.loads(CalibrationTable(tasks={"survival": {"event": DONE}}).content())
    part = content
    for key in path[:-1]:
        part = part[key]
    part[path[-1]] = value
    assert CalibrationTable.read(json.dumps(content).encode()) is None
    assert CalibrationTable.read(b"{") is None


def test_infinite_levels_are_not_read() -> None:
    content = CalibrationTable(tasks={"survival": {"event": DONE}}).content()
    assert CalibrationTable.read(content.replace(b"0.3", b"Infinity")) is None


def test_a_stranger_has_the_pooled_row_and_nobody_one_without_events() -> None:
    assert (DONE.at("north"), DONE.at("south"), DONE.at(None)) == (OWN, ROW, ROW)
    assert FEW.at("north") is None


def test_events_and_their_need_are_said() -> None:
    assert said({"event": DONE}) == "on 45 events"
    assert said({"event": FEW}) == "no, 11 events told and 30 are needed"
    words = said({"rash": FEW, "nausea": DONE})
    assert words == "for nausea alone; for rash no, 11 events told and 30 are needed"
    assert "4 of 5 outcomes" in said({"rash": FEW, **dict.fromkeys("abcd", DONE)})
    assert "patients" in said({"number": DONE})
