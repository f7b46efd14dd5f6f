import json

import pytest

from common.release.interval_table import IntervalTable, OutcomeIntervals

DONE = OutcomeIntervals(patients=100, events=40, pooled=(0.2, 0.1), hospitals={"north": (0.3, 0.15)})
FEW = OutcomeIntervals(patients=20, events=4)


def test_a_table_survives_its_file() -> None:
    table = IntervalTable(tasks={"survival": {"event": DONE}, "response": {"class": FEW}})
    assert IntervalTable.read(table.content()) == table


def test_a_stranger_has_the_pooled_thresholds() -> None:
    assert (DONE.at("north"), DONE.at("south"), FEW.at("north")) == ((0.3, 0.15), (0.2, 0.1), ())


@pytest.mark.parametrize(
    "spoilt",
    [
        {"format": 2},
        {"levels": [2.0]},
        {"levels": [0.9, 0.9]},
        {"levels": [0.9, 0.8]},
        {"more": 1},
        {"tasks": {"a": {"b": {}}}},
    ],
)
def test_another_form_is_not_read(spoilt: dict[str, object]) -> None:
    content = json.loads(IntervalTable(tasks={"survival": {"event": DONE}}).content())
    assert IntervalTable.read(json.dumps(content | spoilt).encode()) is None


def test_thresholds_for_other_levels_than_the_tables_are_not_read() -> None:
    one = OutcomeIntervals(patients=100, events=40, pooled=(0.2,))
    assert (
        IntervalTable.read(IntervalTable.model_construct(tasks={"survival": {"event": one}}).content())
        is None
    )


def test_it_is_said_which_tasks_have_intervals_and_why_others_have_none() -> None:
    table = IntervalTable(tasks={"survival": {"event": FEW}, "response": {"class": DONE}})
    assert table.summary() == "response; none for survival (4 events told, 10 are needed)"
    assert IntervalTable(tasks={"toxicity": {"rash": DONE, "fever": FEW}}).summary().startswith("none for")
    assert IntervalTable(tasks={}).summary() == "none"
