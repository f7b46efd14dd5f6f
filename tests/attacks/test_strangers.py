"""Strangers and a lying hospital against a coordinator as it runs: what they cost it, and that the run goes on."""

import http.client
import shlex
import socket
import ssl
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest
from flwr.proto.fleet_pb2 import PushMessagesRequest

from client.site_folder.certificate import show_certificate
from client.site_folder.keys import read_key
from common.processes.supervision_state import read_state
from server.home.places import CoordinatorHome
from server.records.dropped import DropReason
from server.records.journal import JournalRecord, RoundRecord, read_journal
from tests.attacks.attack_table import AttackRow
from tests.system.processes import (
    connected,
    consilium,
    coordinator,
    join,
    lay_out,
    processes_of,
    taking_part,
    without_folds,
)

pytestmark = [pytest.mark.attack, pytest.mark.slow, pytest.mark.usefixtures("nginx")]
FOLDERS = {1: "at-1", 2: "at-2", 3: "at-3"}
BOMBING, SLOW = 3, 510
PROGRAM = Path(__file__).with_name("bombing_hospital.py")
ROOT = Path(__file__).parents[2]
TAG = bytes([(PushMessagesRequest.DESCRIPTOR.fields_by_name["messages_list"].number << 3) | 2, 0])
"""An empty message in two bytes, which Flower's parser makes an object of."""


@dataclass(frozen=True)
class Siege:
    """Measurements at a coordinator.

    Attributes:
        one, eight: bytes by which its SuperLink grew with a stranger's body of 16 MB, and with eight at once.
        enrolled: the same with the largest body of an enrolled key.
        statuses: answers to all of these.
        told: what `coordinator run` printed, with slow connections all around it.
        hospitals: that were connected afterwards.
        peak: most bytes of the process that took the hospitals' replies.
        database: bytes of the SuperLink's database after the run.
        records: the run's journal.
    """

    one: int
    eight: int
    enrolled: int
    statuses: list[int]
    told: str
    hospitals: set[str]
    peak: int
    database: int
    records: list[JournalRecord]


def memory(pid: int, what: str) -> int:
    """Bytes of a process that /proc tells; none of one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) << 10 for line in lines if line.startswith(what)), 0)


def post(home: CoordinatorHome, body: bytes, key: Path | None = None) -> int:
    """Status of a body that is sent to where replies are announced."""
    context = ssl.create_default_context(cafile=str(home.authority))
    if key is not None:
        show_certificate(context, read_key(key))
    connection = http.client.HTTPSConnection("localhost", home.settings().port, context=context, timeout=60)
    with suppress(OSError):  # it does not read on, and says why
        connection.request("POST", "/v1/fleet/push-messages", body, {"Content-Type": "application/protobuf"})
    try:
        return connection.getresponse().status
    finally:
        connection.close()


def grown(
    home: CoordinatorHome, times: int, body: bytes, statuses: list[int], key: Path | None = None
) -> int:
    """Bytes by which the SuperLink grows with so many bodies at once."""
    state = read_state(home.services)
    assert state is not None
    pid = state.services["superlink"].pid
    assert pid is not None
    before = memory(pid, "VmRSS")
    threads = [threading.Thread(target=lambda: statuses.append(post(home, body, key))) for _ in range(times)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return memory(pid, "VmRSS") - before


@contextmanager
def slow_connections(home: CoordinatorHome) -> Iterator[None]:
    """So many bodies, and as many requests without an end, that one address has begun and does not go on with."""
    context = ssl.create_default_context(cafile=str(home.authority))
    head = b"POST /v1/fleet/push-messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15000000\r\n"
    with ExitStack() as stack:
        for begun in (head + b"\r\n\x12", head) * SLOW:
            plain = socket.create_connection(("localhost", home.settings().port), timeout=30)
            connection = stack.enter_context(context.wrap_socket(plain, server_hostname="localhost"))
            connection.sendall(begun)
        yield


@contextmanager
def peak(home: CoordinatorHome) -> Iterator[list[int]]:
    """The most bytes that a process of the coordinator's runs had, in a list that is complete afterwards."""
    ended, most = threading.Event(), [0]

    def watch() -> None:
        while not ended.wait(0.1):
            for pid in processes_of(home.folder):
                try:
                    command = Path(f"/proc/{pid}/cmdline").read_bytes()
                except OSError:
                    continue
                if b"server.services.launcher" in command:
                    most[0] = max(most[0], memory(pid, "VmHWM"))

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield most
    finally:
        ended.set()
        watching.join()


@pytest.fixture(scope="module")
def siege(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Siege:
    root = tmp_path_factory.mktemp("strangers")
    cohort = lay_out(written_cohort, root, FOLDERS, rounds=1)
    statuses: list[int] = []
    with coordinator(root / "home", "--federation", cohort) as home, ExitStack() as stack:
        sites = {}
        for number, folder in FOLDERS.items():
            without_folds(root / folder)
            sites[number] = join(home, f"hospital {number}", root / folder)
        for number, site in sites.items():
            stack.enter_context(taking_part(site, root / f"user-{number}"))
        launcher = sites[BOMBING].launcher / "flwr-clientapp"
        bombing = shlex.join([sys.executable, str(PROGRAM), str(sites[BOMBING].folder), ""])
        path = f"export PYTHONPATH={shlex.quote(str(ROOT))}"
        launcher.write_text(f'#!/bin/sh\n{path}\nexec {bombing} "$@"\n')

        large = TAG * (8 << 20)
        post(home, b"")
        grown(home, 1, TAG, [], sites[1].key)  # what the first request of all costs
        one, eight = grown(home, 1, large, statuses), grown(home, 8, large, statuses)
        enrolled = grown(home, 1, TAG * (32 << 10), statuses, sites[1].key)
        with slow_connections(home), peak(home) as most:
            told = consilium("coordinator", "run", home.folder)
        there = connected(home)
        (out,) = home.runs.iterdir()
        size = sum(path.stat().st_size for path in home.database.parent.glob("superlink.db*"))
        records = list(read_journal(out))
    return Siege(one, eight, enrolled, statuses, told, there, most[0], size, records)


def test_a_strangers_body_costs_the_coordinator_nothing(siege: Siege, attack_row: AttackRow) -> None:
    attack_row("POST of 16 MB by a stranger, SuperLink", "< 1 MB", f"{siege.one / 1e6:.2f} MB")
    attack_row("eight of them at once, SuperLink", "< 10 MB", f"{siege.eight / 1e6:.2f} MB")
    assert siege.statuses[:9] == [413] * 9
    assert siege.one < 1e6
    assert siege.eight < 10e6


def test_an_enrolled_keys_body_costs_little(siege: Siege, attack_row: AttackRow) -> None:
    attack_row("largest body of an enrolled key, SuperLink", "< 10 MB", f"{siege.enrolled / 1e6:.2f} MB")
    assert siege.statuses[9:] == [401]
    assert siege.enrolled < 10e6


def test_slow_connections_keep_no_hospital_out(siege: Siege, attack_row: AttackRow) -> None:
    attack_row(
        f"{2 * SLOW} slow connections of one address during a run",
        "3 hospitals take part",
        f"{len(siege.hospitals)} are connected",
    )
    assert "3 of 3 hospitals take part" in siege.told
    assert siege.hospitals == {"hospital 1", "hospital 2", "hospital 3"}


def test_a_reply_of_equal_parts_is_dropped_without_memory(siege: Siege, attack_row: AttackRow) -> None:
    attack_row(
        "reply of 2,500 MB in equal parts by an enrolled hospital",
        "dropped, ServerApp < 1,000 MB",
        f"invalid-message, peak {siege.peak / 1e6:.0f} MB",
    )
    rounds = [record for record in siege.records if isinstance(record, RoundRecord)]
    trained = next(record for record in rounds if record.sites)
    assert set(trained.sites) == {"hospital 1", "hospital 2"}
    assert [(one.site, one.reason) for one in trained.dropped] == [("hospital 3", DropReason.INVALID_MESSAGE)]
    assert 100e6 < siege.peak < 1000e6
    assert siege.database < 100e6
