"""After a loss the hospital goes on with what was spent: the budget is never reset."""

import random
import shutil
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from client.ledger import recovery as ledger_recovery
from client.ledger.entries import Entry, now
from client.ledger.heads import head_paths
from client.ledger.ledger import LEDGER, Ledger, acknowledge
from client.ledger.recovery import replace_damaged
from client.site_folder.policy import Limit
from common.errors import OptionError, Refusal, RefusalCode, StateError
from common.privacy.accounting import merged, spend
from tests.attacks.attack_table import AttackRow
from tests.client.conftest import NO_LIMIT, ROUND, STATISTICS
from tests.client.kills import killed_at, lines_to_kill_at

SPENT = [STATISTICS, *[ROUND] * 209]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    folder.mkdir()
    fill(folder)
    return folder


def fill(site: Path) -> None:
    with Ledger(site) as ledger:
        for number in range(0, len(SPENT), 30):
            ledger.reserve("run", number, SPENT[number : number + 30], NO_LIMIT)


def changed(old: str, new: str) -> Callable[[Path], None]:
    def change(site: Path) -> None:
        with sqlite3.connect(site / LEDGER) as database:
            database.execute("DROP TRIGGER entries_hold")
            database.execute("UPDATE entries SET entry = replace(entry, ?, ?) WHERE number = 5", (old, new))
        database.close()

    return change


def truncated(length: int) -> Callable[[Path], None]:
    def truncate(site: Path) -> None:
        with (site / LEDGER).open("rb+") as file:
            file.truncate(length)

    return truncate


def without_heads(damage: Callable[[Path], object]) -> Callable[[Path], None]:
    def remove(site: Path) -> None:
        damage(site)
        for place in head_paths(site):
            place.unlink()

    return remove


DAMAGES: dict[str, Callable[[Path], object]] = {
    "deleted": lambda site: (site / LEDGER).unlink(),
    "folder deleted": lambda site: shutil.rmtree(site / "ledger"),
    "emptied": truncated(0),
    "header only": truncated(100),
    "truncated": truncated(8192),
    "not a database": lambda site: (site / LEDGER).write_bytes(b"x" * 9000),
    "row changed": changed("8.0", "9.0"),
    "row changed, no heads": without_heads(changed('"run":"run"', '"run":"nur"')),
    "head unreadable": lambda site: head_paths(site)[1].write_text("x"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_acknowledged_ledger_carries_over_what_was_spent(site: Path, damage: str) -> None:
    DAMAGES[damage](site)
    with pytest.raises(Refusal):
        Ledger(site)
    acknowledge(site, "disk replaced")
    with Ledger(site) as ledger:
        first = ledger.entries()[0]
        known = ledger.releases()
        ledger.commit(ledger.reserve("run", 1, [ROUND], NO_LIMIT))
    assert (first.kind, first.note) == ("acknowledged", "disk replaced")
    assert {*merged(SPENT)} <= {*known}
    limit = spend(SPENT, 1e-3).epsilon
    with Ledger(site) as ledger, pytest.raises(Refusal) as raised:
        ledger.require("run", [ROUND], Limit(limit, 1e-3))
    assert raised.value.code == RefusalCode.DECLINED_BUDGET


def test_the_damaged_ledger_is_kept_and_a_second_loss_carries_over_all(site: Path) -> None:
    for _ in range(2):
        changed_bytes = truncate_and_read(site)
        acknowledge(site, "disk replaced")
        assert changed_bytes in [path.read_bytes() for path in (site / "ledger").glob("damaged-*.sqlite")]
        with Ledger(site) as ledger:
            assert tuple(ledger.releases()) == merged(SPENT)


def truncate_and_read(site: Path) -> bytes:
    truncated((site / LEDGER).stat().st_size - 100)(site)
    return (site / LEDGER).read_bytes()


def test_a_damaged_ledgers_log_is_not_applied_to_the_new_one(site: Path) -> None:
    path, log = site / LEDGER, site / f"{LEDGER}-wal"
    database = sqlite3.connect(path)
    database.execute("PRAGMA journal_mode = WAL")
    database.execute("DROP TRIGGER entries_hold")
    database.execute("UPDATE entries SET entry = replace(entry, '8.0', '9.0') WHERE number = 5")
    database.commit()
    kept = path.read_bytes(), log.read_bytes()
    database.close()
    path.write_bytes(kept[0])
    log.write_bytes(kept[1])
    first = Entry(number=1, at=now(), kind="acknowledged", releases=merged(SPENT), note="a log was left")
    replace_damaged(path, first, head_paths(site))
    with Ledger(site) as ledger:
        assert tuple(ledger.releases()) == merged(SPENT)
    assert {kept[0], kept[1]} == {aside.read_bytes() for aside in (site / "ledger").glob("damaged-*")}


def test_a_sound_ledger_cannot_be_acknowledged_away(site: Path) -> None:
    with pytest.raises(StateError):
        acknowledge(site, "fresh start please")
    with Ledger(site) as ledger:
        assert ledger.releases() == SPENT


def test_an_acknowledgement_says_what_happened(site: Path) -> None:
    (site / LEDGER).unlink()
    with pytest.raises(OptionError):
        acknowledge(site, " ")


def test_a_ledger_that_cannot_be_used_for_another_reason_is_no_loss(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    with monkeypatch.context() as patch:
        patch.setenv("CONSILIUM_STATE", str(tmp_path / "file"))
        with pytest.raises(Refusal) as raised:
            acknowledge(site, "no state folder")
        assert raised.value.code == RefusalCode.LEDGER_UNAVAILABLE
    locked = sqlite3.connect(site / LEDGER, isolation_level=None)
    locked.execute("BEGIN IMMEDIATE")
    with pytest.raises(Refusal) as raised:
        acknowledge(site, "locked", patience_s=0.0)
    assert raised.value.code == RefusalCode.LEDGER_UNAVAILABLE
    locked.close()
    with Ledger(site) as ledger:
        assert ledger.releases() == SPENT


def test_a_kill_at_any_line_of_an_acknowledgement_resets_nothing(memory: Path) -> None:
    template, files = memory / "template", {ledger_recovery.__file__}
    template.mkdir()
    fill(template)

    def damaged(name: str) -> tuple[Path, Callable[[], object]]:
        site = memory / name
        shutil.copytree(template, site)
        shutil.copy(head_paths(template)[1], head_paths(site)[1])
        DAMAGES["row changed, no heads"](site)
        return site, partial(acknowledge, site, "disk replaced")

    lines = lines_to_kill_at(files, memory, damaged("whole")[1])
    for line in lines:
        site, life = damaged(f"site-{line}")
        assert killed_at(line, files, life) is (line < lines[-1])
        try:
            Ledger(site).close()
        except Refusal:
            acknowledge(site, "again")
        with Ledger(site) as ledger:
            assert sum(release.steps for release in ledger.releases()) == len(SPENT)
    assert lines[-1] > 30


@pytest.mark.attack
def test_a_flipped_bit_is_refused_with_a_code_or_changes_nothing(memory: Path, attack_row: AttackRow) -> None:
    site = memory / "site"
    site.mkdir()
    fill(site)
    with Ledger(site) as ledger:
        entries = ledger.entries()
    whole = (site / LEDGER).read_bytes()
    schema = whole.index(b"CREATE TABLE")  # a message about it cannot be decoded
    draw = random.Random(0)
    places = [(schema + byte, 7) for byte in range(0, 600, 60)]
    places += [(draw.randrange(len(whole)), draw.randrange(8)) for _ in range(90)]
    codes = []
    for byte, bit in places:
        flipped = bytearray(whole)
        flipped[byte] ^= 1 << bit
        (site / LEDGER).write_bytes(flipped)
        try:
            with Ledger(site) as ledger:
                assert ledger.entries() == entries
        except Refusal as refusal:
            codes.append(refusal.code)
    measured = f"{len(codes)} refused of {len(places)}, 0 other"
    attack_row("10 bits of the ledger flipped", "0 other than refused", measured)
    assert set(codes) == {RefusalCode.LEDGER_INVALID}
    assert len(codes) >= 10


def test_a_ledger_with_bytes_that_are_no_text_is_acknowledged(site: Path) -> None:
    content = bytearray((site / LEDGER).read_bytes())
    for byte in range(0, 600, 60):
        content[content.index(b"CREATE TABLE") + 12 + byte] |= 0x80
    (site / LEDGER).write_bytes(content)
    acknowledge(site, "the disk was damaged")
    with Ledger(site) as ledger:
        assert merged(ledger.releases()) == merged(SPENT)
