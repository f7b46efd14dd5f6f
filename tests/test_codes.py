"""Documented codes: each is reached by a test, which is named here and has to speak of the code."""

import ast
import re
import tomllib
from functools import cache
from pathlib import Path

import pytest

from client.egress.expected import BlockReason
from common import errors
from common.errors import InputCode, InputError, RefusalCode
from server.records.dropped import DropReason

TESTS = Path(__file__).parent
KINDS = {kind.__name__: kind for kind in (RefusalCode, BlockReason, DropReason, InputCode)}
TABLE: dict[str, dict[str, list[str]]] = tomllib.loads(
    (TESTS / "codes_reached.toml").read_text(encoding="utf-8")
)
REACHED = {
    code: (file, test) for file, tests in TABLE.items() for test, codes in tests.items() for code in codes
}
"""Kind and name of a code -> file and test that reaches it."""


def test_every_documented_code_is_reached_by_a_test() -> None:
    documented = {f"{name}.{code.name}" for name, kind in KINDS.items() for code in kind}
    assert documented == set(REACHED)


@cache
def module(file: str) -> tuple[str, ast.Module]:
    """Text and tree of a file of tests."""
    text = (TESTS / file).read_text(encoding="utf-8")
    return text, ast.parse(text)


def said(file: str, test: str) -> str:
    """Text of a test, its decorators, and the constants of its file that they name."""
    text, tree = module(file)
    lines = text.splitlines()
    functions = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == test]
    assert functions, f"{file} has no {test}"
    first = min([functions[0].lineno, *(decorator.lineno for decorator in functions[0].decorator_list)])
    body = "\n".join(lines[first - 1 : functions[0].end_lineno])
    constants = [
        "\n".join(lines[node.lineno - 1 : node.end_lineno])
        for node in tree.body
        if isinstance(node, ast.Assign | ast.AnnAssign)
        and any(re.search(rf"\b{name}\b", body) for name in names(node))
    ]
    return "\n".join([body, *constants])


def names(node: ast.Assign | ast.AnnAssign) -> list[str]:
    """Names to which a statement assigns."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]


def kind_of(code: InputCode) -> str:
    """Name of the class of errors that has a code."""
    kinds = [
        kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, InputError)
    ]
    return next(kind.__name__ for kind in kinds if kind.code is code)


@pytest.mark.parametrize("code", REACHED)
def test_the_test_that_reaches_a_code_is_there_and_names_it(code: str) -> None:
    file, test = REACHED[code]
    kind, _, name = code.partition(".")
    member = KINDS[kind][name]
    words = [rf"{kind}\.{name}\b"]
    if isinstance(member, BlockReason | DropReason):
        words.append(rf"[\"']{member.value}[\"']")
    if isinstance(member, InputCode):
        words += [rf"\b{kind_of(member)}\b", r"\bkinds\(\)"]
    assert any(re.search(word, said(file, test)) for word in words)
