"""Refused requests of a federation file are counted from its last approval, whichever run they were of."""

from pathlib import Path

import pytest

from client.ledger.asked import refusals_since_approval
from client.ledger.entries import Entry
from client.ledger.ledger import Ledger

FILE, OTHER = "f" * 64, "e" * 64


def entries(*kinds: tuple[str, str]) -> list[Entry]:
    return [
        Entry.model_validate({"number": number, "at": "", "kind": kind, "run": run})
        for number, (kind, run) in enumerate([("opened", ""), *kinds], start=1)
    ]


def test_an_approval_counts_the_refusals_of_its_file_anew() -> None:
    both = [("refused", FILE), ("refused", OTHER), ("refused", FILE)]
    assert refusals_since_approval(entries(*both), FILE) == 2
    assert refusals_since_approval(entries(*both, ("approved", OTHER)), FILE) == 2
    again = entries(*both, ("approved", FILE), ("refused", FILE))
    assert refusals_since_approval(again, FILE) == 1
    assert refusals_since_approval(again, OTHER) == 1


def test_a_ledger_counts_as_many_as_are_allowed(memory: Path) -> None:
    with Ledger(memory / "site") as ledger:
        ledger.approve(FILE)
        assert [ledger.refuse(FILE, 3) for _ in range(5)] == [True, True, True, False, False]
        assert refusals_since_approval(ledger.entries(), FILE) == 3, "the ledger does not grow beyond"
        assert ledger.refuse(OTHER, 3)
        ledger.approve(FILE)
        assert ledger.refuse(FILE, 3)


@pytest.fixture(autouse=True)
def _site(memory: Path) -> None:
    (memory / "site").mkdir()
