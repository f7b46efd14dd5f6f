"""A check that fails keeps no other from being made, and tells no value."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from client.doctor.finding import Finding, fail, made, ok, warn
from client.site_folder.places import Home
from common.errors import InputError, Refusal, RefusalCode


def test_a_check_that_fails_is_a_finding(tmp_path: Path) -> None:
    def broken(home: Home) -> Iterator[Finding]:
        yield Finding(check="broken", level="ok", told=str(1 / int(home.folder.name == "CANARY-8371")))

    (found,) = made([("broken", broken)], Home(tmp_path))
    assert (found.check, found.level) == ("broken", "fail")
    assert "CANARY" not in found.told


def test_every_check_is_made_and_keeps_what_it_had_found(tmp_path: Path) -> None:
    def half(home: Home) -> Iterator[Finding]:
        yield ok("first", "is well")
        raise InputError("site.toml, name", "is empty", "give one")

    def refused(home: Home) -> Iterator[Finding]:
        yield from ()
        raise Refusal(RefusalCode.LEDGER_MISSING)

    def last(home: Home) -> Iterator[Finding]:
        yield warn("last", "is low", "fill it")

    found = made([("half", half), ("ledger", refused), ("last", last)], Home(tmp_path))
    assert [(each.check, each.level) for each in found] == [
        ("first", "ok"),
        ("half", "fail"),
        ("ledger", "fail"),
        ("last", "warn"),
    ]
    assert (found[1].told, found[1].remedy) == ("site.toml, name: is empty", "give one")
    assert "--acknowledge" in found[2].remedy


def test_what_is_not_well_comes_with_a_remedy() -> None:
    assert [each.level for each in (ok("a", "b"), warn("a", "b", "c"), fail("a", "b", "c"))] == [
        "ok",
        "warn",
        "fail",
    ]
    assert (ok("a", "b").remedy, warn("a", "b", "c").remedy, fail("a", "b", "c").remedy) == ("", "c", "c")
    with pytest.raises(ValidationError):
        Finding.model_validate({"check": "a", "level": "fine", "told": "b"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    def closed(home: Home) -> Iterator[Finding]:
        yield ok("first", (home.folder / "none").read_text())

    (found,) = made([("closed", closed)], Home(tmp_path))
    assert found.told == f"{tmp_path / 'none'}: No such file or directory"
    assert "put it back" in found.remedy
