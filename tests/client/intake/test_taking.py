"""Tables of a hospital, taken in by declared rules, from a file to one row per patient."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from client.intake.taking import Taken, take_file, take_frame
from client.rules.declaration import IntakeRules, TableIntake, TableRules
from client.tables.checked import CellsError
from client.tables.header import Wanted

LEVELS = ("I", "II", "III")


def wanted(declared: dict[str, Any], columns: tuple[str, ...] = ("size", "stage")) -> Wanted:
    intake = IntakeRules.model_validate(declared)
    return Wanted(
        "clinical",
        "patient",
        columns,
        categories={"stage": LEVELS} if "stage" in columns else {},
        rules=TableRules("clinical", intake, intake.tables.get("clinical", TableIntake())),
        units={"size": "mm", "months": "months"},
    )


def take(folder: Path, text: str, declared: dict[str, Any], **more: Any) -> Taken:
    path = folder / "clinical.csv"
    path.write_bytes(text.encode(more.pop("encoding", "utf-8")))
    return take_file(path, wanted(declared, **more))


def cells(taken: Taken, column: str) -> list[Any]:
    assert taken.frame is not None
    return [None if pd.isna(cell) else cell for cell in taken.frame[taken.keys.get(column, column)]]


def counts(taken: Taken) -> dict[str, int]:
    return {f"{change.rule}:{change.column}": change.count for change in taken.changes}


def test_a_german_export_reads_as_declared(tmp_path: Path) -> None:
    text = "Bericht für März;;\n\npatient;size;stage\nä1;1,5;i\nä2;k.A.;II b\nä3;1.234,5;-\n"
    declared = {
        "encoding": "latin-1",
        "delimiter": ";",
        "decimal": ",",
        "thousands": ".",
        "missing": ["k.A.", "-", "unk"],
        "clinical": {
            "header_row": 3,
            "columns": {"size": {"unit": "cm"}, "stage": {"spelling": "loose", "sublevels": False}},
        },
    }
    declared["clinical"]["columns"]["stage"]["recode"] = {"II b": "II"}  # type: ignore[index]
    taken = take(tmp_path, text, declared, encoding="latin-1")
    assert taken.problems == ()
    assert cells(taken, "size") == [15.0, None, 12345.0]
    assert cells(taken, "stage") == ["I", "II", None]
    assert taken.rows == (4, 5, 6)
    assert counts(taken) == {
        "encoding:": 1,
        "delimiter:": 1,
        "header_row:": 1,
        "missing:size": 1,
        "decimal:size": 2,
        "columns.size.unit:size": 2,
        "missing:stage": 1,
        "columns.stage.recode:stage": 1,
        "columns.stage.spelling:stage": 1,
    }


def test_a_rule_that_meets_nothing_is_counted_as_such(tmp_path: Path) -> None:
    declared = {"missing": ["unk"], "clinical": {"columns": {"stage": {"recode": {"4": "III"}}}}}
    taken = take(tmp_path, "patient,size,stage\n1,2,I\n", declared)
    assert set(counts(taken).values()) == {0}
    assert [change.unused for change in taken.changes] == [1, 1, 1]


def test_without_rules_a_table_is_as_it_is(tmp_path: Path) -> None:
    taken = take(tmp_path, "patient, size ,stage\np1,2.5,I\n", {})
    assert (cells(taken, "size"), taken.changes, taken.keys) == ([2.5], (), {})


def test_numbers_of_another_kind_than_declared_are_undecided_with_their_rows(tmp_path: Path) -> None:
    taken = take(tmp_path, 'patient,size,stage\np1,"1,5",I\np2,1.234,I\np3,3,I\n', {"decimal": ","})
    assert cells(taken, "size") == [1.5, None, 3]
    (problem,) = taken.problems
    assert isinstance(problem, CellsError)
    assert problem.rows == (3,)
    assert "1 number" in problem.what
    assert "1.234" not in str(problem)


def test_a_time_is_computed_from_two_days(tmp_path: Path) -> None:
    text = "patient,from,to\np1,01.01.2020,31.12.2020\np2,2020-01-01,\np3,01.01.2020,01.01.2019\np4,01.01.2020,soon\n"
    declared = {"dates": ["DD.MM.YYYY"], "clinical": {"columns": {"months": {"between": ["from", "to"]}}}}
    taken = take(tmp_path, text, declared, columns=("months",))
    times = cells(taken, "months")
    assert times[0] == pytest.approx(365 * 12 / 365.25)
    assert times[1:] == [None, None, None]
    assert [problem.rows for problem in taken.problems if isinstance(problem, CellsError)] == [(5,), (4,)]
    assert "soon" not in " ".join(map(str, taken.problems))


def test_a_unit_that_does_not_convert_is_refused_and_factor_is_the_remedy(tmp_path: Path) -> None:
    taken = take(
        tmp_path,
        "patient,size,stage\np1,2,I\n",
        {"clinical": {"columns": {"size": {"unit": "kg"}}}},
    )
    assert "factor" in taken.problems[0].remedy
    taken = take(
        tmp_path, "patient,size,stage\np1,2,I\n", {"clinical": {"columns": {"size": {"factor": 10}}}}
    )
    assert cells(taken, "size") == [20.0]


@pytest.mark.parametrize(("limits", "read"), [("number", [100, 5]), ("missing", [None, 5])])
def test_limits_are_read_as_declared(limits: str, read: list[float | None], tmp_path: Path) -> None:
    declared = {"clinical": {"columns": {"size": {"limits": limits}}}}
    assert cells(take(tmp_path, "patient,size,stage\np1,>100,I\np2,5,I\n", declared), "size") == read


def test_the_rules_hold_for_a_table_in_memory(tmp_path: Path) -> None:
    frame = pd.DataFrame({"patient": ["p1", "p2"], "size": ["1,5", "unk"], "stage": ["i", "II"]})
    declared = {
        "decimal": ",",
        "missing": ["unk"],
        "clinical": {"columns": {"stage": {"spelling": "loose"}, "size": {"unit": "cm"}}},
    }
    taken = take_frame(tmp_path / "clinical", frame, wanted(declared))
    assert (cells(taken, "size"), cells(taken, "stage")) == ([15.0, None], ["I", "II"])


def test_one_row_of_each_visit_is_kept_and_ties_are_undecided(tmp_path: Path) -> None:
    text = "patient,size,stage,visit\nA,1,I,1\nA,2,I,2\nB,3,I,1\nC,4,I,1\nC,4,I,1\nD,5,I,2\nD,6,I,2\n"
    declared = {"clinical": {"rows": {"keep": "last", "by": "visit"}}}
    taken = take(tmp_path, text, declared)
    assert taken.frame is None
    assert [problem.rows for problem in taken.problems if isinstance(problem, CellsError)] == [(7, 8), (7, 8)]
    kept = take(tmp_path, text.rpartition("D,6")[0], declared)
    assert (cells(kept, "size"), kept.read, kept.rows) == ([2, 3, 4, 5], 6, (3, 4, 5, 7))


def test_identifiers_are_spelled_as_declared_and_counted(tmp_path: Path) -> None:
    text = "patient,size,stage\n007,1,I\nab 8,2,I\nAB9 ,3,I\n"
    declared = {"identifiers": {"case": "upper", "blanks": "remove", "zeros": "strip"}}
    taken = take(tmp_path, text, declared)
    assert taken.frame is not None
    assert list(taken.frame.index) == ["7", "AB8", "AB9"]
    assert list(counts(taken).values()) == [1, 1, 1, 1]


def test_patients_that_become_one_by_their_spelling_are_refused(tmp_path: Path) -> None:
    taken = take(tmp_path, "patient,size,stage\n007,1,I\n7,2,I\n", {"identifiers": {"zeros": "strip"}})
    assert taken.frame is None
    assert "1 row repeats a patient" in str(taken.problems[0])


def test_true_and_false_read_alike_with_rules_and_without(tmp_path: Path) -> None:
    for declared in ({}, {"missing": ["unk"]}):
        taken = take(tmp_path, "patient,size,stage\n1,True,I\n2,False,I\n3,,I\n", declared)
        assert [cell in (True, "True") for cell in cells(taken, "size")[:1]] == [True]
    assert cells(taken, "size") == [1, 0, None]
