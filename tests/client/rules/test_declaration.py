"""Declared rules: those of a table win, mistakes are named, and every change has another digest."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from client.rules.declaration import IntakeRules, TableIntake, TableRules, digest


def rules(declared: dict[str, Any], table: str = "clinical") -> TableRules:
    intake = IntakeRules.model_validate(declared)
    return TableRules(table, intake, intake.tables.get(table, TableIntake()))


def test_rules_of_a_column_win_over_those_of_its_table_and_these_over_all() -> None:
    declared = {
        "delimiter": ";",
        "decimal": ",",
        "missing": ["k.A."],
        "dates": ["DD.MM.YYYY"],
        "clinical": {"delimiter": "\t", "missing": ["-"], "columns": {"age": {"decimal": "."}}},
    }
    clinical, outcomes = rules(declared), rules(declared, "outcomes")
    assert (clinical.delimiter, outcomes.delimiter) == ("\t", ";")
    assert (clinical.column("age").decimal, clinical.column("crp").decimal) == (".", ",")
    assert (clinical.missing, outcomes.missing) == (("k.A.", "-"), ("k.A.",))
    assert outcomes.column("months").dates == ("DD.MM.YYYY",)
    assert (rules({}).delimiter, rules({}).encoding, rules({}).changes_rows) == (",", "utf-8", False)


@pytest.mark.parametrize(
    "declared",
    [
        {"delimeter": ";"},
        {"delimiter": "x"},
        {"encoding": "klingon"},
        {"encoding": "zip"},
        {"dates": ["DD.MM"]},
        {"clinical": {"colums": {}}},
        {"clinical": {"header_row": 0}},
        {"clinical": {"columns": {"age": {"unit": "cubit"}}}},
        {"clinical": {"columns": {"age": {"unit": "cm", "factor": 10}}}},
        {"clinical": {"columns": {"age": {"between": ["a", "b"], "factor": 10}}}},
        {"clinical": {"columns": {"age": {"factor": 0}}}},
        {"clinical": {"rows": {"keep": "last", "before": "2020-01-01"}}},
        {"identifiers": {"zeros": "strip", "width": 6}},
    ],
)
def test_a_mistake_in_a_rule_is_refused(declared: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        IntakeRules.model_validate(declared)


def test_every_change_of_a_rule_or_its_file_has_another_digest(tmp_path: Path) -> None:
    declared: dict[str, Any] = {"clinical": {"genes": {"names": "names.csv"}}}
    (tmp_path / "names.csv").write_text("a,b\n")
    seen = [digest(IntakeRules.model_validate(declared), tmp_path)]
    (tmp_path / "names.csv").write_text("a,c\n")
    seen.append(digest(IntakeRules.model_validate(declared), tmp_path))
    declared["clinical"]["columns"] = {"age": {"factor": 2}}
    seen.append(digest(IntakeRules.model_validate(declared), tmp_path))
    assert len(set(seen)) == 3
    assert digest(IntakeRules(), tmp_path) == ""


def test_the_digest_does_not_depend_on_the_place_of_the_folder(tmp_path: Path) -> None:
    digests = set()
    for name in ("here", "there"):
        folder = tmp_path / name
        folder.mkdir()
        (folder / "names.csv").write_text("a,b\n")
        intake = IntakeRules.model_validate({"rna": {"genes": {"names": "names.csv"}}})
        digests |= {digest(intake, folder), digest(intake.located(folder), folder)}
    assert len(digests) == 1
