"""A TOML file is read as editors save it, and every fault in it has its line, its cause and a remedy that works."""

from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError

from common.errors import InputError, MissingFileError, UnreadableFileError
from common.reading.toml_file import read_toml

HEAD = b"# a comment\n\n"


def missing(path: Path) -> MissingFileError:
    return MissingFileError(str(path), "is not there", "write it")


def refusal(path: Path, content: bytes) -> UnreadableFileError:
    path.write_bytes(content)
    with pytest.raises(UnreadableFileError) as raised:
        read_toml(path, missing(path))
    return raised.value


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("end", [b"\n", b"\r\n"])
def test_byte_order_mark_and_line_ends_do_not_matter(tmp_path: Path, mark: bytes, end: bytes) -> None:
    path = tmp_path / "a.toml"
    path.write_bytes(mark + b'name = "K\xc3\xb6ln"' + end + b"[tables]" + end + b"a = 1" + end)
    assert read_toml(path, missing(path)).data == {"name": "Köln", "tables": {"a": 1}}


def test_a_file_that_is_not_there_is_the_callers_to_explain(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError, match="write it"):
        read_toml(tmp_path / "none", missing(tmp_path / "none"))


FAULTS: dict[str, tuple[bytes, str, str]] = {
    "backslash": (rb'a = "C:\Users\clinic"', "backslash", "single quotes"),
    "backslash before no letter of TOML": (rb'a = "C:\data"', "backslash", "/"),
    "curved quotes": ("a = “x”".encode(), "curved quotation marks", "straight"),
    "text without quotes": (b"a = Beta", "value", "double quotes"),
    "colon": (b'a: "x"', "colon", "equals sign"),
    "decimal comma": (b"a = 0,67", "comma in a number", "point"),
    "capital": (b"a = True", "capitals", "small letters"),
    "unit": (b"a = 5 mm", "more after its value", "without unit"),
    "key twice": (b"a = 1\na = 2\nb = 3", "before", "keep one"),
    "key twice in a line": (b"a = {b = 1, b = 2}", "before", "keep one"),
    "heading twice": (b"[t]\n[t]\nb = 3", "before", "under one heading"),
    "open heading": (b"[tables\na = 1", "not closed", "]"),
    "open quote": (b'a = "x\nb = 1', "quotation mark", "add it"),
    "open list": (b"a = [1 2]", "commas", "add them"),
    "no equals sign": (b"a", "no equals sign", "KEY = VALUE"),
    "no key": (b"= 1", "no key", "begin it"),
}
LATER = {"key twice", "heading twice"}
"""Faults of a second line."""


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_has_its_line_its_cause_and_a_remedy(tmp_path: Path, name: str) -> None:
    content, cause, remedy = FAULTS[name]
    error = refusal(tmp_path / "a.toml", HEAD + content)
    assert error.where.startswith(f"{tmp_path}/a.toml, line {4 if name in LATER else 3}")
    assert cause in error.what
    assert remedy in error.remedy
    assert "Error" not in str(error)


def test_remedies_for_a_path_of_windows_work_to_the_letter(tmp_path: Path) -> None:
    path = tmp_path / "a.toml"
    for mended in (rb"a = 'C:\Users\clinic'", b'a = "C:/Users/clinic"'):
        path.write_bytes(mended)
        assert "clinic" in read_toml(path, missing(path)).data["a"]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le"])
def test_utf_16_is_named(tmp_path: Path, encoding: str) -> None:
    error = refusal(tmp_path / "a.toml", 'name = "x"'.encode(encoding))
    assert "UTF-16" in error.what
    assert "UTF-8" in error.remedy


def test_a_letter_of_another_encoding_has_its_line(tmp_path: Path) -> None:
    error = refusal(tmp_path / "a.toml", 'a = 1\nname = "Köln"\n'.encode("latin-1"))
    assert error.where.endswith(", line 2")
    assert "UTF-8" in error.remedy


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid")

    x: int


class _Whole(BaseModel):
    model_config = ConfigDict(extra="forbid")

    parts: tuple[_Part, ...]
    names: dict[str, str] = {}


@pytest.mark.parametrize(
    ("content", "where", "what"),
    [
        ("[[parts]]\nx = 1\n[[parts]]\nx = 'a'", "line 4, parts.1.x", "whole number"),
        ("[[parts]]\nx = 1\n[[parts]]\n", "line 3, parts.1.x", "is missing"),
        ("parts = []\nother = 2", "line 2, other", "no key"),
        ("parts = []\n[names]\n# x = 1\n'a b' = 1", "line 4, names.a b", "text"),
        ("parts = []\nnames.c = 1", "line 2, names.c", "text"),
        ("\nparts = [\n {x = 'a'},\n]", "line 2, parts.0.x", "whole number"),
        ("names = {}", "parts", "is missing"),
    ],
)
def test_what_a_schema_objects_to_has_its_line(tmp_path: Path, content: str, where: str, what: str) -> None:
    path = tmp_path / "a.toml"
    path.write_text(content)
    file = read_toml(path, missing(path))
    with pytest.raises(ValidationError) as raised:
        _Whole.model_validate(file.data)
    error: InputError = file.invalid(raised.value)
    assert error.where == f"{path}, {where}"
    assert what in error.what
