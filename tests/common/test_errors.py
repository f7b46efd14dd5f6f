"""Errors say where, what and what to do, and tell programs their kind; refusals are codes."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from common import errors
from common.errors import (
    REFUSALS,
    InputCode,
    InputError,
    InvalidContentError,
    Refusal,
    RefusalCode,
)

TABLE = Path(__file__).parents[2] / "docs" / "errors.md"


def kinds(base: type[InputError] = InputError) -> Iterator[type[InputError]]:
    """The classes of errors that are defined with the base."""
    if base.__module__ == errors.__name__:
        yield base
    for kind in base.__subclasses__():
        yield from kinds(kind)


def test_an_input_error_is_one_sentence_of_place_problem_and_remedy() -> None:
    error = InputError("clinical.csv, column age", "is missing", "add it")
    assert str(error) == "clinical.csv, column age: is missing; add it."
    assert (error.where, error.what, error.remedy) == ("clinical.csv, column age", "is missing", "add it")


def test_every_kind_of_error_has_a_code_of_its_own() -> None:
    assert sorted(kind.code for kind in kinds()) == sorted(InputCode)


@pytest.mark.parametrize("kind", list(kinds()))
def test_every_kind_of_error_can_be_told_by_its_code_and_is_in_the_table(kind: type[InputError]) -> None:
    error = kind("clinical.csv", "is missing", "add it")
    assert error.code is kind.code
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", error.code.value)
    assert f"| `{error.code}` | `{kind.__name__}`" in TABLE.read_text()


PACKAGES = ("client", "common", "consilium", "server", "simulations")


@pytest.mark.parametrize("package", PACKAGES)
def test_every_error_is_of_a_kind_that_programs_can_tell(package: str) -> None:
    """The base class is for plug-ins; a raise of the product says which kind of error it is."""
    root = Path(errors.__file__).parents[1]
    unkind = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in sorted((root / package).rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "InputError"
    ]
    assert not unkind


@pytest.mark.parametrize("code", RefusalCode)
def test_every_code_has_a_sentence_and_travels_as_a_plain_word(code: RefusalCode) -> None:
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", code.value)
    assert re.fullmatch(r"[A-Z][^.\n]+\.", REFUSALS[code])
    assert str(Refusal(code)) == REFUSALS[code]
    assert Refusal(code).code is code


def test_codes_and_sentences_are_different_from_one_another() -> None:
    assert len({code.value for code in RefusalCode}) == len(set(REFUSALS.values())) == len(REFUSALS)


def test_a_refusal_keeps_its_cause_for_the_sites_log_and_out_of_its_text() -> None:
    with pytest.raises(Refusal) as raised:
        raise Refusal(RefusalCode.INTERNAL) from ValueError("patient 4711")
    assert isinstance(raised.value.__cause__, ValueError)
    assert "4711" not in str(raised.value)
    assert "4711" not in repr(raised.value)


def test_no_error_commands_a_terminal() -> None:
    error = InvalidContentError("a\x1b[2J", "b\x9b1m", "c\rd")
    assert str(error) == r"a\x1b[2J: b\x9b1m; c\rd."
    assert (error.where, error.what, error.remedy) == (r"a\x1b[2J", r"b\x9b1m", r"c\rd")
