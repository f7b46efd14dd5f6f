"""Attacks on the privacy ledger and the receipts: set back, moved, copied, deleted, edited, spoilt, killed and raced.

Every one leaves a site folder that says less than was released. None may be used before the hospital acknowledges it,
and no honest crash may look like one.
"""

import hashlib
import json
import multiprocessing
import os
import random
import shutil
import sqlite3
import struct
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from client.commands.acknowledge import acknowledge_site
from client.ledger import entries as ledger_entries
from client.ledger import ledger as ledger_module
from client.ledger.heads import HEAD_FILE, head_paths
from client.ledger.ledger import LEDGER, Ledger, acknowledge
from client.receipts.book import append_receipt
from client.receipts.page import read_receipts
from client.receipts.receipt import Receipt
from client.site_folder.keys import new_key, read_key
from client.site_folder.places import Home
from client.site_folder.policy import Limit
from common.errors import IntegrityError, Refusal, RefusalCode
from common.privacy.accounting import Release, epsilon_within
from tests.attacks.attack_table import AttackRow
from tests.client.receipts.sent import send

pytestmark = pytest.mark.attack

ROUND = Release(mechanism="training", noise_multiplier=14.2)
NO_LIMIT = Limit(None, 1e-3)
ROUNDS, MORE = 6, 4
DROP = ("DROP TRIGGER entries_stay", "DROP TRIGGER entries_hold", "DROP TRIGGER entries_follow")


class Machine:
    """Machine of a hospital: site folders with one node key, and the state folder of its user."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self._monkeypatch = folder, monkeypatch
        self.site = folder / "site"
        (self.site / "keys").mkdir(parents=True)
        self.home = Home(self.site)
        private, public = new_key()
        self.home.key.write_bytes(private)
        self.home.public_key.write_bytes(public)
        (self.site / "site.toml").write_text(
            'name = "north"\nid = "patient"\n[tables]\noutcomes = "outcomes.csv"\n[policy]\nmaximum_epsilon = 8.0\n'
        )
        self.use_state("state")

    def use_state(self, name: str) -> None:
        """Become another user."""
        self._monkeypatch.setenv("CONSILIUM_STATE", str(self.folder / name))

    @property
    def outside(self) -> Path:
        """Head copy outside the site folder."""
        return head_paths(self.site)[1]

    def save(self) -> Path:
        """Back the site folder up."""
        return shutil.copytree(
            self.site, self.folder / "backups" / f"{len(list(self.folder.glob('backups/*')))}"
        )

    def put_back(self, saved: Path, to: Path | None = None) -> None:
        """Put a backup in place of the site folder, or somewhere else."""
        if to is None:
            shutil.rmtree(self.site)
        shutil.copytree(saved, to or self.site)
        self.site = to or self.site

    def sql(self, *statements: str) -> None:
        """Change the ledger as whoever may write the file can."""
        database = sqlite3.connect(self.site / LEDGER)
        for statement in statements:
            database.execute(statement)
        database.commit()
        database.close()


@pytest.fixture
def machine(memory: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    machine = Machine(memory / "machine", monkeypatch)
    spend_rounds(machine.site, ROUNDS)
    return machine


def spend_rounds(site: Path, count: int) -> None:
    with Ledger(site) as ledger:
        for number in range(count):
            ledger.commit(ledger.reserve("run", number, [ROUND], NO_LIMIT))


def counted(site: Path) -> int:
    with Ledger(site) as ledger:
        return sum(release.steps for release in ledger.releases())


def answer(site: Path) -> str:
    """Answer of a site to the next request: a code, or how many rounds it counts."""
    try:
        return f"counts {counted(site)}"
    except Refusal as refusal:
        return refusal.code.value


def set_back(machine: Machine) -> None:
    saved = machine.save()
    spend_rounds(machine.site, MORE)
    shutil.rmtree(machine.site / "ledger")
    shutil.copytree(saved / "ledger", machine.site / "ledger")


def folder_set_back(machine: Machine) -> None:
    saved = machine.save()
    spend_rounds(machine.site, MORE)
    machine.put_back(saved)


def folder_set_back_and_head_deleted(machine: Machine) -> None:
    folder_set_back(machine)
    machine.outside.unlink()


def restored_elsewhere(machine: Machine) -> None:
    saved = machine.save()
    spend_rounds(machine.site, MORE)
    machine.put_back(saved, machine.folder / "another-path")


def restored_elsewhere_and_head_deleted(machine: Machine) -> None:
    outside = machine.outside
    restored_elsewhere(machine)
    outside.unlink()


def another_user(machine: Machine) -> None:
    folder_set_back(machine)
    machine.use_state("another-user")


def public_key_deleted(machine: Machine) -> None:
    folder_set_back(machine)
    machine.home.public_key.unlink()


def another_key(machine: Machine) -> None:
    folder_set_back(machine)
    machine.home.public_key.write_bytes(new_key()[1])


def ledger_and_inner_head_deleted(machine: Machine) -> None:
    shutil.rmtree(machine.site / "ledger")
    (machine.site / HEAD_FILE).unlink()


def tables_and_key_copied(machine: Machine) -> None:
    copy = machine.folder / "copy"
    shutil.copytree(machine.site, copy, ignore=shutil.ignore_patterns("ledger", HEAD_FILE.name))
    machine.site = copy


def folder_used_twice(machine: Machine) -> None:
    machine.put_back(machine.save(), machine.folder / "twin")
    spend_rounds(machine.folder / "site", MORE)


def file_emptied(machine: Machine) -> None:
    (machine.site / LEDGER).write_bytes(b"")


def file_a_link_to_nothing(machine: Machine) -> None:
    (machine.site / LEDGER).unlink()
    (machine.site / LEDGER).symlink_to("/dev/null")


def rechained(machine: Machine) -> None:
    database, previous = sqlite3.connect(machine.site / LEDGER), ""
    for statement in DROP:
        database.execute(statement)
    for number, text in database.execute("SELECT number, entry FROM entries ORDER BY number").fetchall():
        edited = text.replace("14.2", "142.0")
        previous = hashlib.sha256(f"{previous}\n{edited}".encode()).hexdigest()
        database.execute("UPDATE entries SET entry=?, hash=? WHERE number=?", (edited, previous, number))
    database.commit()
    database.close()


def table_exchanged(machine: Machine) -> None:
    machine.sql(
        "ALTER TABLE entries RENAME TO older",
        "CREATE TABLE entries (number INTEGER PRIMARY KEY, entry TEXT, hash TEXT)",
        "INSERT INTO entries SELECT * FROM older LIMIT 3",
    )


def hot_journal(machine: Machine) -> None:
    """Plant a rollback journal that makes SQLite itself undo the last rounds."""
    path = machine.site / LEDGER
    before = path.read_bytes()
    spend_rounds(machine.site, MORE)
    (size,) = struct.unpack(">H", before[16:18])
    pages, nonce, records = len(before) // size, 7, b""
    for page in range(pages):
        data, check = before[page * size : (page + 1) * size], nonce
        for place in range(size - 200, 0, -200):
            check = (check + data[place]) & 0xFFFFFFFF
        records += struct.pack(">I", page + 1) + data + struct.pack(">I", check)
    head = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", pages, nonce, pages, 512, size)
    (machine.site / f"{LEDGER}-journal").write_bytes(head.ljust(512, b"\0") + records)


ATTACKS: dict[str, tuple[Callable[[Machine], object], set[str]]] = {
    "older ledger put back": (set_back, {"ledger-invalid"}),
    "older site folder put back": (folder_set_back, {"ledger-invalid"}),
    "the same, outside head deleted": (folder_set_back_and_head_deleted, {"ledger-unconfirmed"}),
    "older folder at another path": (restored_elsewhere, {"ledger-invalid"}),
    "the same, outside head deleted, at another path": (
        restored_elsewhere_and_head_deleted,
        {"ledger-unconfirmed"},
    ),
    "older folder, another user": (another_user, {"ledger-unconfirmed"}),
    "older folder, public key deleted": (public_key_deleted, {"ledger-unconfirmed"}),
    "older folder, another public key": (another_key, {"ledger-unconfirmed"}),
    "ledger file deleted": (lambda machine: (machine.site / LEDGER).unlink(), {"ledger-missing"}),
    "ledger and inner head deleted": (ledger_and_inner_head_deleted, {"ledger-missing"}),
    "outside head deleted": (lambda machine: machine.outside.unlink(), {"ledger-unconfirmed"}),
    "tables and key copied without the ledger": (tables_and_key_copied, {"ledger-missing"}),
    "one node key in two folders": (folder_used_twice, {"ledger-invalid"}),
    "row edited": (
        lambda machine: machine.sql(
            *DROP, "UPDATE entries SET entry = replace(entry, '14.2', '142.0') WHERE number = 2"
        ),
        {"ledger-invalid"},
    ),
    "last rows deleted": (
        lambda machine: machine.sql(*DROP, "DELETE FROM entries WHERE number >= 9"),
        {"ledger-invalid"},
    ),
    "a row in the middle deleted": (
        lambda machine: machine.sql(*DROP, "DELETE FROM entries WHERE number = 5"),
        {"ledger-invalid"},
    ),
    "all rows edited and chained anew": (rechained, {"ledger-invalid"}),
    "table exchanged for a shorter one": (table_exchanged, {"ledger-invalid"}),
    "file emptied": (file_emptied, {"ledger-missing"}),
    "file a link to /dev/null": (
        file_a_link_to_nothing,
        {"ledger-unavailable", "ledger-invalid", "ledger-missing"},
    ),
    "hot journal planted": (hot_journal, {"ledger-invalid"}),
    "inner head damaged": (lambda machine: (machine.site / HEAD_FILE).write_text("{}"), {"ledger-invalid"}),
    "outside head damaged": (lambda machine: machine.outside.write_text("x"), {"ledger-invalid"}),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_ledger_that_says_less_is_refused_and_counts_on_once_acknowledged(
    machine: Machine, attack: str, attack_row: AttackRow
) -> None:
    act, codes = ATTACKS[attack]
    act(machine)
    said = [answer(machine.site) for _ in range(2)]  # a refusal mends nothing
    attack_row(f"ledger: {attack}", "refused", said[-1])
    assert set(said) <= codes
    acknowledge(machine.site, "restored")
    assert counted(machine.site) >= ROUNDS


def test_a_ledger_deleted_with_all_its_copies_is_missed_by_the_receipts(
    machine: Machine, attack_row: AttackRow
) -> None:
    append_receipt(
        machine.home.receipts,
        read_example().model_copy(update={"reservation": 2}),
        read_key(machine.home.key),
    )
    machine.outside.unlink()
    ledger_and_inner_head_deleted(machine)
    said = [answer(machine.site) for _ in range(2)]
    attack_row("ledger: deleted with both heads, receipts left", "refused", said[-1])
    assert set(said) == {"ledger-missing"}
    assert acknowledge(machine.site, "lost")
    assert counted(machine.site) == 0  # what is nowhere cannot be carried over; the coordinator has it


def test_a_state_folder_of_its_own_user_still_tells_after_another_user_acknowledged(
    machine: Machine, attack_row: AttackRow
) -> None:
    another_user(machine)
    acknowledge(machine.site, "looked at as another user")
    machine.use_state("state")
    said = answer(machine.site)
    attack_row("ledger: acknowledged by another user", "refused to the first", said)
    assert said == "ledger-invalid"
    acknowledge(machine.site, "restored")
    assert counted(machine.site) == ROUNDS + MORE


@pytest.mark.parametrize(
    "harmless",
    {
        "through a link": lambda machine: (machine.folder / "link").symlink_to(machine.site),
        "moved": lambda machine: machine.put_back(
            machine.site.rename(machine.folder / "moved"), machine.site
        ),
        "in write-ahead mode": lambda machine: machine.sql("PRAGMA journal_mode = WAL"),
    }.items(),
    ids=lambda item: item[0],
)
def test_nothing_harmless_looks_like_an_attack(
    machine: Machine, harmless: tuple[str, Callable[[Machine], object]]
) -> None:
    name, act = harmless
    act(machine)
    site = machine.folder / "link" if name == "through a link" else machine.site
    assert counted(site) == ROUNDS
    spend_rounds(site, 1)
    assert counted(site) == ROUNDS + 1


def test_a_clock_that_runs_back_changes_no_count(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (ledger_module, ledger_entries):
        monkeypatch.setattr(module, "now", lambda: "1970-01-01T00:00:00+00:00")
    spend_rounds(machine.site, MORE)
    assert counted(machine.site) == ROUNDS + MORE


def test_truncated_and_flipped_ledgers_are_refused_or_count_everything(
    machine: Machine, attack_row: AttackRow
) -> None:
    path, heads = machine.site / LEDGER, head_paths(machine.site)
    whole, draws = path.read_bytes(), random.Random(0)
    kept = {place: place.read_bytes() for place in heads}
    found: Counter[str] = Counter()
    for trial in range(120):
        content = bytearray(whole)
        if trial < 20:
            del content[draws.randrange(len(whole)) :]
        else:
            content[draws.randrange(len(whole))] ^= 1 << draws.randrange(8)
        path.write_bytes(content)
        for leftover in path.parent.glob("*-*"):
            leftover.unlink()
        for place, before in kept.items():
            place.write_bytes(before)
        found[answer(machine.site)] += 1
    attack_row("ledger: 20 truncations, 100 bit flips", "refused, or all counted", str(dict(found)))
    allowed = {code.value for code in RefusalCode if code.value.startswith("ledger-")}
    assert set(found) <= allowed | {f"counts {ROUNDS}"}


def life(site: Path, pipe: int) -> None:
    with Ledger(site) as ledger:
        for number in range(1_000):
            os.write(pipe, b"b")  # about to reserve
            reservation = ledger.reserve("run", number, [ROUND], NO_LIMIT)
            os.write(pipe, b"r")  # whatever is computed from now on must be counted
            ledger.commit(reservation)


@pytest.mark.slow
def test_killed_at_random_moments_a_ledger_never_counts_less(machine: Machine, attack_row: AttackRow) -> None:
    draws, before, alarms = random.Random(0), ROUNDS, 0
    for trial in range(40):
        site = machine.site
        if trial % 2:
            site = machine.folder / f"fresh-{trial}"
            (site / "keys").mkdir(parents=True)
            (site / "keys" / "node_key.pub").write_bytes(new_key()[1])
        reader, writer = os.pipe()
        child = multiprocessing.get_context("fork").Process(target=life, args=(site, writer))
        child.start()
        os.close(writer)
        child.join(draws.random() ** 2 * 0.2)
        child.kill()
        child.join()
        done = b""
        while chunk := os.read(reader, 65536):
            done += chunk
        os.close(reader)
        known = 0 if trial % 2 else before
        try:
            now = counted(site)
        except Refusal:
            alarms += 1
            continue
        assert known + done.count(b"r") <= now <= known + done.count(b"b")
        before = before if trial % 2 else now
    attack_row("ledger: 40 kills", "0 under-counted, 0 alarms", f"0 under-counted, {alarms} alarms")
    assert alarms == 0


def spender(site: Path, limit: Limit, granted: "multiprocessing.SimpleQueue[int]") -> None:
    count = 0
    with Ledger(site) as ledger:
        try:
            for number in range(100):
                ledger.reserve("run", number, [ROUND], limit)
                count += 1
        except Refusal:
            granted.put(count)


@pytest.mark.slow
def test_processes_that_race_for_the_last_round_are_granted_what_fits(
    memory: Path, monkeypatch: pytest.MonkeyPatch, attack_row: AttackRow
) -> None:
    machine, fits = Machine(memory / "machine", monkeypatch), 0
    while epsilon_within([ROUND.model_copy(update={"steps": fits + 1})], 1e-3, 0.5):
        fits += 1
    context = multiprocessing.get_context("fork")
    granted = context.SimpleQueue()
    racers = [
        context.Process(target=spender, args=(machine.site, Limit(0.5, 1e-3), granted)) for _ in range(4)
    ]
    for racer in racers:
        racer.start()
    total = sum(granted.get() for _ in racers)
    for racer in racers:
        racer.join()
    attack_row("ledger: 4 processes race", f"{fits} rounds granted", f"{total} rounds granted")
    assert total == counted(machine.site) == fits


def receipts_deleted(machine: Machine) -> None:
    send(machine.home, MORE)
    shutil.rmtree(machine.home.receipts.parent)


def receipts_copy_deleted(machine: Machine) -> None:
    folder_with_receipts_set_back(machine)
    for path in (machine.folder / "state" / "receipts").iterdir():
        path.unlink()


def receipts_elsewhere(machine: Machine) -> None:
    saved = machine.save()
    send(machine.home, MORE)
    machine.put_back(saved, machine.folder / "another-path")


def receipts_another_user(machine: Machine) -> None:
    folder_with_receipts_set_back(machine)
    machine.use_state("another-user")


def folder_with_receipts_set_back(machine: Machine) -> None:
    saved = machine.save()
    send(machine.home, MORE)
    machine.put_back(saved)


RECEIPT_ATTACKS: dict[str, Callable[[Machine], object]] = {
    "older folder put back": folder_with_receipts_set_back,
    "the same, outside count deleted": receipts_copy_deleted,
    "older folder at another path": receipts_elsewhere,
    "older folder, another user": receipts_another_user,
    "receipts deleted": receipts_deleted,
}


@pytest.mark.parametrize("attack", RECEIPT_ATTACKS)
def test_receipts_that_say_less_take_no_further_one_before_it_is_acknowledged(
    machine: Machine, attack: str, attack_row: AttackRow
) -> None:
    send(machine.home, 2)
    RECEIPT_ATTACKS[attack](machine)
    home = Home(machine.site)
    with pytest.raises(IntegrityError):
        append_receipt(home.receipts, read_example(), read_key(home.key))
    attack_row(f"receipts: {attack}", "nothing leaves", "nothing leaves")
    acknowledge_site(home, "restored")
    send(home, 1)
    assert read_receipts(home).outside == len(read_receipts(home).receipts)


def read_example() -> Receipt:
    return Receipt(
        run="8",
        request="r",
        asked="train",
        message="TrainReply",
        verdict="passed",
        size_bytes=1,
        sha256="ab" * 32,
    )


def test_an_edited_inner_head_alone_makes_no_acknowledgement_forget(machine: Machine) -> None:
    """Whoever can write everything can; the coordinator's count is left."""
    shutil.rmtree(machine.site / "ledger")
    inner = machine.site / HEAD_FILE
    head = json.loads(inner.read_text())
    head["releases"][0]["steps"] = 1
    inner.write_text(json.dumps(head))
    acknowledge(machine.site, "lost")
    assert counted(machine.site) == ROUNDS
