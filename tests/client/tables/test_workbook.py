"""Sheets of Excel workbooks: chosen by declaration, and read with the types of their cells."""

from datetime import datetime
from pathlib import Path
from typing import Any

import openpyxl
import pytest

from client.tables.workbook import read_sheet
from common.errors import InputError, MissingDependencyError
from common.extras import EXTRAS

WANTED = frozenset({"patient", "age"})


def workbook(folder: Path, **sheets: list[list[Any]]) -> Path:
    book, path = openpyxl.Workbook(), folder / "clinical.xlsx"
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(row)
    book.save(path)
    return path


def test_a_declared_sheet_is_read_below_its_names(tmp_path: Path) -> None:
    rows: list[list[Any]] = [
        ["Register", None],
        [None, None],
        ["patient", "age", "seen", None],
        ["p1", 61.0, datetime(2020, 3, 1)],
    ]
    path = workbook(tmp_path, Cover=[["CANARY-8371"]], Patients=[*rows, [None, None], ["p2", "unk"]])
    read = read_sheet(path, "Patients", 3, "clinical", WANTED)
    assert read.names == ["patient", "age", "seen"]
    assert read.rows == [("p1", 61, datetime(2020, 3, 1)), ("p2", "unk", None)]
    assert read.numbers == [4, 6]


def test_without_a_declared_sheet_the_likeliest_is_proposed(tmp_path: Path) -> None:
    rows: list[list[Any]] = [[], ["patient", "age"], ["p1", 61]]
    path = workbook(tmp_path, Cover=[["CANARY-8371"]], Patients=rows)
    with pytest.raises(InputError) as raised:
        read_sheet(path, None, 1, "clinical", WANTED)
    assert 'sheet = "Patients" and header_row = 2 under [intake.clinical]' in raised.value.remedy
    assert "CANARY" not in str(raised.value)


def test_a_sheet_or_row_that_is_not_there_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path, Patients=[["patient", "age"], ["p1", 61]])
    for sheet, row in (("Others", 1), ("Patients", 5)):
        with pytest.raises(InputError, match="correct"):
            read_sheet(path, sheet, row, "clinical", WANTED)


def test_a_formula_without_a_stored_value_is_no_empty_cell(tmp_path: Path) -> None:
    path = workbook(tmp_path, Patients=[["patient", "age"], ["p1", "=60+1"], ["p2", 3]])
    with pytest.raises(InputError, match="1 formula without a stored value"):
        read_sheet(path, "Patients", 1, "clinical", WANTED)


def test_names_that_excel_took_for_days_read_as_it_shows_them(tmp_path: Path) -> None:
    path = workbook(tmp_path, Genes=[["patient", datetime(2026, 3, 1)], ["p1", 1.5]])
    assert read_sheet(path, "Genes", 1, "rna", WANTED).names == ["patient", "1-Mar"]


def test_a_damaged_workbook_is_refused(tmp_path: Path) -> None:
    path = workbook(tmp_path, Patients=[["patient"], ["p1"]])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(InputError, match="damaged workbook"):
        read_sheet(path, "Patients", 1, "clinical", WANTED)


def test_the_extra_is_named_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = workbook(tmp_path, Patients=[["patient"], ["p1"]])
    monkeypatch.setitem(EXTRAS, "excel", ("no_such_module",))
    with pytest.raises(MissingDependencyError, match=r"consilium\[excel\]"):
        read_sheet(path, "Patients", 1, "clinical", WANTED)
