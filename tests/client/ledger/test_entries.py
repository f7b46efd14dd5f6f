"""A ledger that was changed or lost behind its back is refused as changed or as missing."""

import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from client.ledger.ledger import LEDGER, Ledger
from common.errors import Refusal, RefusalCode
from tests.client.conftest import NO_LIMIT, ROUND

ENTRIES = 9


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A site whose ledger fills several pages."""
    folder = tmp_path / "site"
    folder.mkdir()
    reserve(folder, ENTRIES - 1)
    return folder


def reserve(site: Path, times: int) -> None:
    with Ledger(site) as ledger:
        for number in range(times):
            ledger.reserve("run", number, [ROUND] * 30, NO_LIMIT)


def refusal_of(action: Callable[[], object]) -> RefusalCode:
    with pytest.raises(Refusal) as raised:
        action()
    return raised.value.code


def change(site: Path, statement: str, *, without_triggers: bool = True) -> None:
    with sqlite3.connect(site / LEDGER) as database:
        if without_triggers:
            for trigger in ("entries_stay", "entries_hold", "entries_follow"):
                database.execute(f"DROP TRIGGER {trigger}")
        database.execute(statement)
    database.close()


CHANGES = [
    "UPDATE entries SET entry = replace(entry, '8.0', '9.0') WHERE number = 2",
    f"UPDATE entries SET entry = replace(entry, '8.0', '9.0') WHERE number = {ENTRIES}",
    "UPDATE entries SET hash = upper(hash) WHERE number = 7",
    "UPDATE entries SET entry = CAST(entry AS BLOB) WHERE number = 7",
    "UPDATE entries SET number = 1000 WHERE number = 7",
    "DELETE FROM entries WHERE number = 1",
    "DELETE FROM entries WHERE number = 7",
    f"DELETE FROM entries WHERE number = {ENTRIES}",
    "DELETE FROM entries",
    "INSERT INTO entries SELECT number + 1, entry, hash FROM entries ORDER BY number DESC LIMIT 1",
]


@pytest.mark.parametrize("statement", CHANGES)
def test_a_changed_entry_is_noticed(site: Path, statement: str) -> None:
    change(site, statement)
    assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_INVALID


def test_the_table_itself_only_grows(site: Path) -> None:
    again = "INSERT OR REPLACE INTO entries SELECT * FROM entries WHERE number = 7"
    for statement in (*(known for known in CHANGES if "INSERT" not in known), again):
        with pytest.raises(sqlite3.IntegrityError) as raised:
            change(site, statement, without_triggers=False)
        assert raised.value.sqlite_errorcode == sqlite3.SQLITE_CONSTRAINT_TRIGGER
    reserve(site, 1)


@pytest.mark.parametrize("lost", [1, 100, 4096, 5000, 8192])
def test_a_truncated_ledger_is_noticed(site: Path, lost: int) -> None:
    with (site / LEDGER).open("rb+") as file:
        file.truncate((site / LEDGER).stat().st_size - lost)
    assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_INVALID


@pytest.mark.parametrize("left", [2, 15, 99, 100, 1000, 4096])
def test_a_stub_of_a_ledger_is_noticed(site: Path, left: int) -> None:
    with (site / LEDGER).open("rb+") as file:
        file.truncate(left)
    assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_INVALID


def test_a_ledger_truncated_to_nothing_is_missing(site: Path) -> None:
    (site / LEDGER).write_bytes(b"")
    assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_MISSING


def test_a_ledger_without_its_table_is_missing(site: Path) -> None:
    change(site, "DROP TABLE entries")
    assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_MISSING


def test_a_deleted_ledger_is_missing(site: Path) -> None:
    (site / LEDGER).unlink()
    for _ in range(2):
        assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_MISSING


def test_a_deleted_ledger_folder_is_missing(site: Path) -> None:
    shutil.rmtree(site / "ledger")
    for _ in range(2):
        assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_MISSING


@pytest.mark.parametrize("what", [LEDGER, LEDGER.parent], ids=["file", "folder"])
def test_an_older_copy_is_noticed(site: Path, tmp_path: Path, what: Path) -> None:
    copy = tmp_path / "copy"
    if what == LEDGER:
        shutil.copy(site / what, copy)
        reserve(site, 1)
        shutil.copy(copy, site / what)
    else:
        shutil.copytree(site / what, copy)
        reserve(site, 1)
        shutil.rmtree(site / what)
        shutil.copytree(copy, site / what)
    assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_INVALID


def test_an_older_copy_or_none_is_noticed_by_an_open_ledger(site: Path, tmp_path: Path) -> None:
    shutil.copy(site / LEDGER, tmp_path / "copy")
    with Ledger(site) as ledger:
        ledger.reserve("run", 1, [ROUND], NO_LIMIT)
        shutil.copy(tmp_path / "copy", site / LEDGER)
        again = refusal_of(lambda: ledger.reserve("run", 2, [ROUND], NO_LIMIT))
    assert again == RefusalCode.LEDGER_INVALID


@pytest.mark.parametrize("moved", [False, True], ids=["deleted", "replaced"])
def test_a_ledger_taken_away_while_open_is_noticed(site: Path, tmp_path: Path, moved: bool) -> None:
    shutil.copy(site / LEDGER, tmp_path / "copy")
    with Ledger(site) as ledger:
        (site / LEDGER).unlink()
        if moved:
            (tmp_path / "copy").rename(site / LEDGER)
        again = refusal_of(lambda: ledger.reserve("run", 1, [ROUND], NO_LIMIT))
    assert again == (RefusalCode.LEDGER_INVALID if moved else RefusalCode.LEDGER_MISSING)


def test_another_sites_ledger_is_noticed(site: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    reserve(other, ENTRIES)
    shutil.copy(other / LEDGER, site / LEDGER)
    assert refusal_of(lambda: Ledger(site)) == RefusalCode.LEDGER_INVALID
