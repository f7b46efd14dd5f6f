"""One row of each patient: first, last, before a day, and no choice between two different rows."""

from typing import Any

import pandas as pd
import pytest

from client.intake.changes import Notes
from client.intake.rows import one_row_each
from client.rules.declaration import RowRules

VISITS = pd.DataFrame(
    {
        "day": ["01.03.2020", "01.02.2020", "2020-05-01", "01.01.2020"],
        "until": ["31.03.2020", "31.03.2020", "31.12.2020", ""],
        "size": ["1", "2", "3", "4"],
    },
    index=[2, 3, 4, 5],
)
PATIENTS = pd.Series(["A", "A", "A", "B"], index=VISITS.index)


def kept(rules: dict[str, Any], frame: pd.DataFrame = VISITS) -> tuple[list[int], Notes]:
    notes = Notes()
    rows = one_row_each(
        frame, PATIENTS[frame.index], RowRules.model_validate(rules), ("DD.MM.YYYY",), (), "t.csv", notes
    )
    return list(rows), notes


@pytest.mark.parametrize(
    ("rules", "rows"),
    [
        ({}, [2, 3, 4, 5]),
        ({"keep": "first"}, [2, 5]),
        ({"keep": "last"}, [4, 5]),
        ({"keep": "first", "by": "day"}, [3, 5]),
        ({"keep": "last", "by": "day"}, [4, 5]),
        ({"keep": "last", "by": "day", "before": "2020-03-31"}, [2, 5]),
        ({"keep": "last", "by": "day", "before": "until"}, [4]),
        ({"keep": "last", "by": "size"}, [4, 5]),
    ],
)
def test_the_declared_row_is_kept(rules: dict[str, Any], rows: list[int]) -> None:
    assert kept(rules)[0] == rows


def test_rows_that_repeat_another_are_left_out_and_no_others() -> None:
    frame = VISITS.assign(day="01.01.2020", until="", size=["1", "1 ", "2", "1"])
    rows, notes = kept({"identical": True}, frame)
    assert rows == [2, 4, 5]
    assert [change.count for change in notes.changes] == [1]


def test_a_visit_without_a_day_leaves_its_patient_undecided() -> None:
    rows, notes = kept(
        {"keep": "last", "by": "day"}, VISITS.assign(day=["01.03.2020", "", "soon", "01.01.2020"])
    )
    assert rows == [2, 3, 4, 5]
    assert len(notes.problems) == 2
