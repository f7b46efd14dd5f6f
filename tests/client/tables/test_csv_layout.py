"""A text that is no CSV of commas with one row of names is refused with what is the matter, and no cell of it."""

from pathlib import Path

import pytest

from client.tables.csv_layout import checked_names, rows_of
from common.errors import InputError

PATH = Path("clinical.csv")
NAMES = ["patient", "age", "note"]
ROWS = ["CANARY-8371,61.5,x", "b,62,y", "c,63,z"]
WANTED = frozenset(NAMES[:2])


def text(*rows: str, names: str = ",".join(NAMES)) -> bytes:
    return "\n".join([names, *(rows or ROWS), ""]).encode()


def refusal(content: bytes) -> InputError:
    with pytest.raises(InputError) as raised:
        checked_names(PATH, content, WANTED)
    assert "CANARY" not in str(raised.value)
    assert raised.value.where == str(PATH)
    return raised.value


@pytest.mark.parametrize(
    "content",
    [
        text(),
        b"\xef\xbb\xbf" + text(),
        text().replace(b"\n", b"\r\n"),
        text().replace(b"\n", b"\r"),
        b"\n \n" + text() + b"\n\n",
        text(names=" patient ,age\u00a0,note"),
        text('a,61,"one, two"', 'b,62,"first line\nsecond, line"', 'c,63,"5"" tall"'),
        text(names='"patient","age","note"'),
        text(names="patient,age,note,"),
        text(*(f"{row}," for row in ROWS), names="patient,age,note,"),
        text().rstrip(b"\n"),
    ],
)
def test_what_is_a_csv_gives_its_names(content: bytes) -> None:
    assert checked_names(PATH, content, WANTED)[:3] == NAMES


@pytest.mark.parametrize(
    ("separator", "what"), [(";", "semicolons"), ("\t", "tabs"), ("|", "vertical bars"), ("  ", "blanks")]
)
def test_another_separator_is_named(separator: str, what: str) -> None:
    content = text().replace(b",", separator.encode())
    error = refusal(content.replace(b"61.5", b"61,5"))
    assert what in error.what
    assert "commas" in error.remedy
    assert checked_names(PATH, text(), WANTED) == NAMES, "the remedy to the letter"


def test_a_separator_is_named_though_no_name_is_as_asked_for() -> None:
    assert "semicolons" in refusal(b"PatID;Alter\n1;2\n3;4\n").what


@pytest.mark.parametrize(
    ("above", "line"),
    [
        ("#version 2.4\n# made by CANARY-8371\n", 3),
        ("Report of the registry\n\n\n", 4),
        ("sep=,\n", 2),
        (",,\n", 2),
    ],
)
def test_lines_above_the_names_are_counted(above: str, line: int) -> None:
    error = refusal(above.encode() + text())
    assert f"in line {line}" in error.what
    assert f"delete the {line - 1} line" in error.remedy
    mended = (above.encode() + text()).split(b"\n", line - 1)[-1]
    assert checked_names(PATH, mended, WANTED) == NAMES, "the remedy to the letter"


def test_separator_and_lines_above_are_told_at_once() -> None:
    error = refusal(b"#a\tb\n" + text().replace(b",", b"\t"))
    assert "tabs" in error.what
    assert "in line 2" in error.what


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32"])
def test_utf_16_is_named(encoding: str) -> None:
    assert "UTF-16" in refusal(text().decode().encode(encoding)).what


def test_an_older_encoding_is_told_from_no_text_at_all() -> None:
    assert "UTF-8" in refusal(text("a,61,M\u00fcnchen").decode().encode("latin-1")).what
    assert "neither text" in refusal(b"\x80\x04\x95CANARY-8371\x00\x01\x02").what


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xef\xbb\xbf"])
def test_an_empty_file_is_called_empty(content: bytes) -> None:
    assert "empty" in refusal(content).what


@pytest.mark.parametrize("quoted", [False, True])
def test_rows_of_another_width_are_counted(quoted: bool) -> None:
    def rows(*bad: str) -> bytes:
        return text(*ROWS, *bad, *(['d,64,"one, two"'] if quoted else []))

    total = 5 if quoted else 4
    error = refusal(rows("d,64,one, two"))
    assert error.what.startswith(f"1 row of {total} ")
    assert "double quotes" in error.remedy
    assert "fewer cells" in refusal(rows("d,64")).what
    ending = refusal(text(*(f"{row}," for row in ROWS)))
    assert ending.what.startswith("3 rows of 3 end in a comma")


@pytest.mark.parametrize(
    "rows",
    [
        ['a,61,"open', "b,62,y", "c,63,z"],
        ['a,61,"open', "b,62,y", 'c,63,z"', "d,64,x"],
        ['a,61,"' + "x" * 200_000],
    ],
)
def test_a_quotation_mark_that_swallows_rows_is_named(rows: list[str]) -> None:
    error = refusal(text(*rows))
    assert "quotation mark" in error.what or "fewer cells" in error.what
    assert "quot" in str(error)


def test_rows_are_without_empty_lines() -> None:
    assert list(rows_of(b"a,b\n\n \n1,2\n")) == [["a", "b"], ["1", "2"]]
