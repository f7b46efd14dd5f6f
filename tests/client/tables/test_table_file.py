"""A table's file is told by its content, whatever its name, and what is no table is named for what it is."""

import bz2
import gzip
import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest

from client.tables.table_file import is_parquet, table_text
from common.errors import InputError

TEXT = b"patient,age\nCANARY-8371,60\n"


def zipped(path: Path, **members: bytes) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/"), content)


PACKERS: dict[str, Callable[[Path], object]] = {
    "plain": lambda path: path.write_bytes(TEXT),
    "gzip": lambda path: path.write_bytes(gzip.compress(TEXT)),
    "bzip2": lambda path: path.write_bytes(bz2.compress(TEXT)),
    "xz": lambda path: path.write_bytes(lzma.compress(TEXT)),
    "zip": lambda path: zipped(path, clinical=TEXT),
}


@pytest.mark.parametrize("name", ["table.csv", "table.CSV.GZ", "table", "table.parquet", "table.zip"])
@pytest.mark.parametrize("packer", PACKERS)
def test_text_is_read_however_it_is_packed_and_called(tmp_path: Path, packer: str, name: str) -> None:
    PACKERS[packer](tmp_path / name)
    assert not is_parquet(tmp_path / name)
    with table_text(tmp_path / name) as file:
        assert file.read() == TEXT


@pytest.mark.parametrize("name", ["rna.pq", "RNA.PARQUET", "rna.csv"])
def test_parquet_is_told_by_its_content(tmp_path: Path, name: str) -> None:
    pd.DataFrame({"a": [1]}).to_parquet(tmp_path / name)
    assert is_parquet(tmp_path / name)


def refusal(path: Path) -> InputError:
    with pytest.raises(InputError) as raised, table_text(path) as file:
        file.read()
    assert "CANARY" not in str(raised.value)
    return raised.value


FOREIGN: dict[str, tuple[bytes, str]] = {
    "old workbook": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), "Excel"),
    "SAS": (bytes(12) + b"\xc2\xea\x81\x60\xb3\x14", "SAS"),
    "SAS transport": (b"HEADER RECORD*******LIBRARY", "SAS"),
    "SPSS": (b"$FL2@(#) SPSS DATA FILE", "SPSS"),
    "Stata": (b"<stata_dta><header>", "Stata"),
    "old Stata": (b"\x72\x02\x01\x00\x05", "Stata"),
    "packed R": (gzip.compress(b"RDX3\nX\n\x00\x00"), "R data"),
    "packed RDS": (gzip.compress(b"X\n\x00\x00\x00\x03"), "R data"),
    "HDF5": (b"\x89HDF\r\n\x1a\n", "HDF5"),
    "Feather": (b"ARROW1\x00\x00", "Feather"),
    "SQLite": (b"SQLite format 3\x00", "SQLite"),
    "PDF": (b"%PDF-1.7", "PDF"),
    "page": (b"\n<!DOCTYPE html><table><tr><td>CANARY-8371", "web page"),
    "XML": (b"\xef\xbb\xbf<?xml version='1.0'?>", "XML"),
    "JSON": (b'[{"patient": "CANARY-8371"}]', "JSON"),
    "7-Zip": (b"7z\xbc\xaf'\x1c", "7-Zip"),
    "TAR": (bytes(257).replace(b"\x00", b"a") + b"ustar\x0000", "TAR"),
    "LFS": (b"version https://git-lfs.github.com/spec/v1", "Git LFS"),
    "cut gzip": (gzip.compress(TEXT * 100)[:40], "unpacked"),
    "cut zip": (b"PK\x03\x04", "unpacked"),
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize("name", ["clinical.csv", "clinical.dat"])
def test_a_file_that_is_no_table_is_named_for_what_it_is(tmp_path: Path, kind: str, name: str) -> None:
    content, what = FOREIGN[kind]
    (tmp_path / name).write_bytes(content)
    error = refusal(tmp_path / name)
    assert error.where == str(tmp_path / name)
    assert what in error.what
    assert error.remedy


@pytest.mark.parametrize(
    ("members", "what"),
    [
        ({"xl__workbook.xml": b"", "_rels__.rels": b""}, "Excel"),
        ({"content.xml": b"", "mimetype": b""}, "LibreOffice"),
        ({"Index__Document.iwa": b"", "a": b""}, "Numbers"),
        ({"a.csv": TEXT, "b.csv": TEXT}, "2 files"),
        ({}, "0 files"),
    ],
)
def test_workbooks_and_archives_of_many_files_are_told_apart(
    tmp_path: Path, members: dict[str, bytes], what: str
) -> None:
    zipped(tmp_path / "clinical.xlsx", **members)
    assert what in refusal(tmp_path / "clinical.xlsx").what


def test_a_workbook_that_is_cut_off_is_called_a_workbook(tmp_path: Path) -> None:
    (tmp_path / "clinical.xlsx").write_bytes(b"PK")
    assert "damaged workbook" in refusal(tmp_path / "clinical.xlsx").what


def test_a_file_that_is_not_there_asks_for_the_site_file(tmp_path: Path) -> None:
    assert "[tables]" in refusal(tmp_path / "none.csv").remedy
    assert "/" in refusal(tmp_path / "data\\clinical.csv").remedy
    assert refusal(tmp_path).what == "is a folder"
