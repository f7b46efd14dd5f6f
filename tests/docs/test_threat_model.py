"""Threat model: every promise names a test that is there, and every party says what remains open."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs/threat-model.md").read_text(encoding="utf-8")
PARTIES = re.split(r"^## ", TEXT, flags=re.MULTILINE)[1:]


def test_every_promise_names_a_test() -> None:
    promises = [line for line in TEXT.splitlines() if re.match(r"\| (?!promise|-)", line)]
    assert promises
    for promise in promises:
        paths = re.findall(r"`(tests/[\w/.]+)`", promise)
        assert paths, promise
        assert all((ROOT / path).exists() for path in paths), promise


def test_every_party_has_something_open() -> None:
    assert len(PARTIES) >= 7
    for party in PARTIES:
        assert re.search(r"^Open: ", party, flags=re.MULTILINE), party.splitlines()[0]
