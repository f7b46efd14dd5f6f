"""Proposed rules: what a file shows, in words of the product, and a hospital's own words on its terminal alone."""

from pathlib import Path
from typing import Any

import pytest

from client.intake.proposing import ProposalSubject, Rules, propose
from client.rules.declaration import IntakeRules, TableIntake, TableRules
from client.tables.header import Wanted
from client.tables.likely_unit import Ranges


def proposed(
    folder: Path, text: str, *columns: str, encoding: str = "utf-8", declared: Any = None, **more: Any
) -> Rules:
    path = folder / "clinical.csv"
    path.write_bytes(text.encode(encoding))
    rules = TableRules("clinical", IntakeRules(), TableIntake.model_validate(declared or {}))
    levels = {"stage": ("I", "II")} if "stage" in columns else {}
    wanted = Wanted("clinical", "patient", columns, categories=levels, rules=rules, units={"size": "mm"})
    binary = frozenset({"died"} & set(columns))
    return propose(ProposalSubject(path, wanted, binary, {"size": Ranges("mm", 0, 300)}, **more))


@pytest.mark.parametrize(
    ("text", "encoding", "rules"),
    [
        ("patient,size\n1,2\n", "utf-8", {}),
        ("patient;size\n1;2,5\n", "utf-8", {"delimiter": ";", "decimal": ","}),
        (
            "Größe\n\npatient\tsize\n1\t2\n",
            "latin-1",
            {"encoding": "windows-1252", "delimiter": "\t", "header_row": 3},
        ),
        ("patient,size\n1,2\n", "utf-16", {"encoding": "utf-16"}),
    ],
)
def test_layouts_are_proposed(text: str, encoding: str, rules: Rules, tmp_path: Path) -> None:
    assert proposed(tmp_path, text, "size", encoding=encoding) == rules


def test_rules_of_cells_are_proposed(tmp_path: Path) -> None:
    text = "patient,size,stage,died\n1,unk,ii,dead\n2,-9,IIb,alive\n3,>100,x,dead\n"
    assert proposed(tmp_path, text, "size", "stage", "died")["columns"] == {
        "size": {"missing": ["unk", "-9"], "limits": "number"},
        "stage": {"missing": ["x"], "spelling": "loose", "sublevels": True},
        "died": {"recode": {"alive": 0, "dead": 1}},
    }


def test_words_of_a_hospital_are_named_on_its_terminal_alone(tmp_path: Path) -> None:
    rows = [f"{number},{'early' if number < 9 else 'CANARY-8371'}" for number in range(10)]
    text = "patient,stage\n" + "\n".join(rows) + "\n"
    assert proposed(tmp_path, text, "stage") == {}
    named = proposed(tmp_path, text, "stage", names_words=True)
    assert named == {"columns": {"stage": {"recode": {"early": "?"}}}}, "and none of a single row"


def test_what_is_declared_is_not_proposed_again(tmp_path: Path) -> None:
    text = "patient;size\n1;unk\n1;unk\n"
    declared = {"delimiter": ";", "columns": {"size": {"missing": ["unk"]}}}
    assert proposed(tmp_path, text, "size", declared=declared) == {"rows": {"identical": True}}


def test_dates_of_excel_are_proposed_as_genes(tmp_path: Path) -> None:
    assert proposed(tmp_path, "patient,7-Sep\n1,2\n", "SEPT7") == {"genes": {"excel_dates": True}}


def test_units_are_proposed(tmp_path: Path) -> None:
    text = "patient,size\n" + "".join(f"{number},{1 + number / 10}\n" for number in range(40))
    assert proposed(tmp_path, text, "size") == {"columns": {"size": {"unit": "cm"}}}
