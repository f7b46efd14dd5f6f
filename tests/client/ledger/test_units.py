"""A ledger counts one unit of privacy: epsilons of patients and of anything else do not add up."""

import sqlite3
from pathlib import Path

import pytest

from client.chained_log.chain import ChainEnd
from client.ledger.account import read_account
from client.ledger.entries import TABLE
from client.ledger.heads import head_paths, read_head
from client.ledger.ledger import LEDGER, Ledger, acknowledge
from common.errors import Refusal, RefusalCode
from common.privacy.accounting import merged
from tests.client.conftest import NO_LIMIT, ROUND, STATISTICS

EARLIER = (
    '{"number":1,"at":"2026-01-01","kind":"opened","run":"","round":null,"releases":[],"reservation":null,"note":""}',
    '{"number":2,"at":"2026-01-02","kind":"reserved","run":"a","round":1,"releases":'
    + f"[{ROUND.model_dump_json()}]"
    + ',"reservation":null,"note":""}',
)
"""Entries as they were written before they named a unit."""


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    (folder / "site.toml").write_text('name = "north"\n[tables]\n')
    return folder


def spend_on(site: Path, unit: str) -> None:
    with Ledger(site) as ledger:
        ledger.commit(ledger.reserve("a", 1, [ROUND], NO_LIMIT, unit))


def test_entries_and_heads_carry_the_unit(site: Path) -> None:
    spend_on(site, "pair")
    with Ledger(site) as ledger:
        assert [entry.unit for entry in ledger.entries() if entry.releases] == ["pair"]
    assert {head.unit for path in head_paths(site) if (head := read_head(path))} == {"pair"}
    assert read_account(site).unit == "pair"
    assert read_account(site).as_json()["unit"] == "pair"


@pytest.mark.parametrize("unit", ["patient", "compound"])
def test_another_unit_is_refused_and_nothing_is_entered(site: Path, unit: str) -> None:
    spend_on(site, "pair")
    with Ledger(site) as ledger:
        before = ledger.entries()
        for attempt in (
            lambda: ledger.require("b", [ROUND], NO_LIMIT, unit),
            lambda: ledger.reserve("b", None, [STATISTICS], NO_LIMIT, unit),
        ):
            with pytest.raises(Refusal) as refused:
                attempt()
            assert refused.value.code is RefusalCode.DECLINED_UNIT
        assert ledger.entries() == before


def test_a_ledger_from_before_there_were_units_is_sound_and_counts_patients(site: Path) -> None:
    path = site / LEDGER
    path.parent.mkdir()
    database = sqlite3.connect(path)
    with database:
        for statement in TABLE:
            database.execute(statement)
        end = ChainEnd(0, "")
        for text in EARLIER:
            end = end.followed_by(text)
            database.execute("INSERT INTO entries VALUES (?, ?, ?)", (end.count, text, end.hash))
    database.close()
    acknowledge(site, "its copies are not here")
    assert read_account(site).unit == "patient"
    spend_on(site, "patient")
    with Ledger(site) as ledger, pytest.raises(Refusal):
        ledger.reserve("a", 2, [ROUND], NO_LIMIT, "pair")
    assert merged(read_account(site).runs[0].releases)[0].steps == 2 * ROUND.steps


@pytest.mark.parametrize("with_heads", [True, False])
def test_a_new_ledger_after_a_loss_counts_the_same_unit(site: Path, with_heads: bool) -> None:
    spend_on(site, "pair")
    if not with_heads:
        for place in head_paths(site):
            place.unlink()
    with sqlite3.connect(site / LEDGER) as database:
        database.execute("DROP TRIGGER entries_hold")
        database.execute("UPDATE entries SET hash = 'x' WHERE number = 2")
    database.close()
    acknowledge(site, "a restore went wrong")
    assert read_account(site).unit == "pair"
    with Ledger(site) as ledger, pytest.raises(Refusal):
        ledger.reserve("b", 1, [ROUND], NO_LIMIT, "patient")
