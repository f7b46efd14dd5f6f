"""A check that fails keeps no other from being made, and tells no value."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from client.doctor.finding import Finding, FindingCode, fail, ok, run_checks, warn
from client.site_folder.places import Home
from common.errors import REMEDIES, InputError, Refusal, RefusalCode


def test_a_check_that_fails_is_a_finding(tmp_path: Path) -> None:
    def broken(home: Home) -> Iterator[Finding]:
        yield Finding(
            check="broken",
            level="ok",
            code=FindingCode.OK,
            message=str(1 / int(home.folder.name == "CANARY-8371")),
        )

    (found,) = run_checks([("broken", broken)], Home(tmp_path))
    assert (found.check, found.level, found.code) == ("broken", "fail", FindingCode.CHECK_FAILED)
    assert "CANARY" not in found.message


def test_every_check_is_made_and_keeps_what_it_had_found(tmp_path: Path) -> None:
    problem = InputError("site.toml, name", "is empty", "give one")

    def half(home: Home) -> Iterator[Finding]:
        yield ok("first", "is well")
        raise problem

    def refused(home: Home) -> Iterator[Finding]:
        yield from ()
        raise Refusal(RefusalCode.LEDGER_MISSING)

    def last(home: Home) -> Iterator[Finding]:
        yield warn("last", FindingCode.DISK_SHORT, "is low", "fill it")

    found = run_checks([("half", half), ("ledger", refused), ("last", last)], Home(tmp_path))
    assert [(finding.check, finding.level, finding.code) for finding in found] == [
        ("first", "ok", "ok"),
        ("half", "fail", "input-invalid"),
        ("ledger", "fail", "ledger-missing"),
        ("last", "warn", "disk-short"),
    ]
    assert (found[1].message, found[1].remedy) == (f"{problem.where}: {problem.what}", problem.remedy)
    assert found[2].remedy == REMEDIES[RefusalCode.LEDGER_MISSING]


def test_what_is_not_well_comes_with_a_remedy() -> None:
    code = FindingCode.DISK_SHORT
    findings = (ok("a", "b"), warn("a", code, "b", "c"), fail("a", code, "b", "c"))
    assert [finding.level for finding in findings] == ["ok", "warn", "fail"]
    assert [finding.remedy for finding in findings] == ["", "c", "c"]
    with pytest.raises(ValidationError):
        Finding.model_validate({"check": "a", "level": "fine", "code": "ok", "message": "b"})


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    def closed(home: Home) -> Iterator[Finding]:
        yield ok("first", (home.folder / "none").read_text())

    (found,) = run_checks([("closed", closed)], Home(tmp_path))
    assert str(tmp_path / "none") in found.message
    assert (found.code, bool(found.remedy)) == ("file-unreadable", True)
