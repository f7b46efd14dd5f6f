"""Identifiers match as they are seen; those of another table that do not are counted, with the reason."""

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from client.tables.identifiers import blanks_problem, match_problem, read_identifiers
from common.errors import InputError

PATH = Path("clinical.csv")
PATIENTS = pd.Index([f"CANARY-{number:03d}" for number in range(40)])


def read(*cells: Any) -> tuple[list[str], list[str]]:
    result = read_identifiers(PATH, "patient", pd.Series(list(cells), dtype=object))
    assert not any("CANARY" in str(problem) for problem in result.problems)
    return list(result.value), [problem.what for problem in result.problems]


def test_blanks_and_invisible_signs_are_no_part_of_an_identifier() -> None:
    assert read("P1 ", "\u200bP2", "P\u00a03", 4.0, 5) == (["P1", "P2", "P 3", "4", "5"], [])


@pytest.mark.parametrize("empty", [None, float("nan"), "", "  ", "NA"])
def test_rows_without_a_patient_are_counted(empty: object) -> None:
    assert read("CANARY-1", empty, empty)[1] == ["2 rows are without a patient"]


def test_rows_that_repeat_a_patient_are_counted_as_they_are_seen() -> None:
    assert read("CANARY-1", "CANARY-1 ", "CANARY-1", "b", "b")[1] == ["3 rows repeat a patient"]


@pytest.mark.parametrize("total", ["Total", "GRAND TOTAL", "Summe:", "Gesamt"])
def test_a_row_of_totals_is_told(total: str) -> None:
    assert read("CANARY-1", total)[1] == ["1 row is a total of others"]


@pytest.mark.parametrize(
    ("rows", "count"),
    [
        (["CANARY 1", "CANARY1", "CANARY2"], 1),
        (["CANARY 1", "CANARY  1", "CANARY1"], 2),
        (["CANARY-1", "CANARY1", "canary1", "CANARY01"], 0),
    ],
)
def test_rows_that_differ_by_a_blank_alone_are_counted(rows: list[str], count: int) -> None:
    problem = blanks_problem(PATH, "patient", pd.Index(rows))
    assert (problem is not None) is (count > 0)
    assert problem is None or problem.what.startswith(f"{count} row")
    assert "CANARY" not in str(problem)


def match(rows: list[str], patients: pd.Index = PATIENTS) -> InputError | None:
    problem = match_problem(PATH, "patient", pd.Index(rows), patients, "outcomes")
    assert "CANARY" not in str(problem)
    return problem


def test_strangers_are_no_matter_up_to_one_in_twenty_and_a_problem_above() -> None:
    assert match([*PATIENTS[:38], "x", "y"]) is None
    problem = match([*PATIENTS[:37], "x", "y", "z"])
    assert problem is not None
    assert problem.what == "3 of 40 rows have a patient who is not in the outcomes table"
    assert match(list(PATIENTS[:10])) is None, "a table need not have everybody"


@pytest.mark.parametrize(
    ("respelt", "reason"),
    [
        (lambda name: name.lower(), "capital letters"),
        (lambda name: name.replace("-0", "-"), "leading zeros"),
        (lambda name: name.replace("-", ""), "punctuation"),
        (lambda name: name.replace("-", "_").lower(), "capitals, zeros and punctuation"),
        (lambda name: f"{name}-01A", "at the end"),
    ],
)
def test_the_same_patients_in_another_spelling_are_a_problem_with_its_reason(
    respelt: Any, reason: str
) -> None:
    everybody = match([respelt(name) for name in PATIENTS])
    assert everybody is not None
    assert everybody.what.startswith("none of its patients is in the outcomes table, 40 of them for")
    assert reason in everybody.what
    one = match([respelt(PATIENTS[0]), *PATIENTS[1:]])
    assert one is not None, "a single one is a problem if it is certain"
    assert "1 of 40 rows" in one.what
    assert reason in one.what


def test_sample_codes_of_the_other_table_are_recognised_too() -> None:
    problem = match(list(PATIENTS), pd.Index([f"{name}-01A" for name in PATIENTS]))
    assert problem is not None
    assert "at the end" in problem.what


def test_a_stranger_whose_spelling_is_near_a_patient_with_a_row_is_a_stranger() -> None:
    assert match([*PATIENTS, "canary-001"]) is None
