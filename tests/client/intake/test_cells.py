"""Subdivisions of levels, and cells that rules leave as they are."""

import pandas as pd
import pytest

from client.intake.cells import Column, above, apply_rules
from client.intake.changes import Notes
from client.rules.declaration import ColumnRules

LEVELS = dict.fromkeys(("T1", "T2", "N0", "N1", "II"))


@pytest.mark.parametrize(
    ("text", "level"),
    [
        ("T1c", "T1"),
        ("T1a2", "T1"),
        ("N1mi", "N1"),
        ("N0 (i-)", "N0"),
        ("N0(mol+)", "N0"),
        ("T10", None),
        ("T1", None),
        ("III", None),
        ("IIb", "II"),
        ("IIab", None),
        ("T3a", None),
        ("T1 or T2", None),
    ],
)
def test_a_subdivision_is_a_letter_or_a_remark_behind_a_level(text: str, level: str | None) -> None:
    assert above(text, LEVELS) == level


def test_a_level_that_is_called_like_a_missing_text_stays_one() -> None:
    column = Column("t.csv, column stage", "stage", "columns.stage", ("1", "NA", "-"), "", ("-",))
    cells = pd.Series(["1", "NA", "-", " ", None], index=range(2, 7))
    assert apply_rules(cells, column, ColumnRules(), Notes()).tolist() == ["1", "NA", "-", None, None]
    named = apply_rules(cells, column, ColumnRules(missing=("-",)), Notes())
    assert named.tolist() == ["1", "NA", None, None, None]


def test_a_recode_to_nothing_empties_a_cell_and_true_is_one() -> None:
    column = Column("t.csv, column died", "died", "columns.died", (), "", ())
    rules = ColumnRules(recode={"lost": "", "dead": True, "alive": 0})
    cells = apply_rules(pd.Series(["lost", "dead", "alive", "other"]), column, rules, Notes())
    assert cells.tolist() == [None, 1, 0, "other"]
