"""Custody of a hospital's machine: tokens, the local port, receipts, and processes."""

import json
import os
import signal
import socket
import ssl
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from client.runtime.local_port import LOOPBACK, is_free
from client.runtime.loopback import make
from client.site_folder import places as site_home
from common.processes.supervision_state import birth_of, read_state
from server.home import places as coordinator_home
from server.records.journal import RunRecord, read_journal
from tests.system.processes import (
    CONSILIUM,
    DEADLINE_S,
    PATIENCE_S,
    connected,
    consilium,
    coordinator,
    join,
    lay_out,
    process,
    processes_of,
    receipts,
    status,
    taking_part,
    until,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nginx")]
NAME = "hospital 1"


@dataclass(frozen=True)
class Place:
    """One hospital that takes part."""

    home: coordinator_home.CoordinatorHome
    site: site_home.Home
    root: Path
    supervisor: int


@pytest.fixture
def place(written_cohort: Path, tmp_path: Path) -> Iterator[Place]:
    cohort = lay_out(written_cohort, tmp_path, {1: "one"}, rounds=1)
    with coordinator(tmp_path / "home", "--federation", cohort) as home:
        site = join(home, NAME, tmp_path / "one")
        with taking_part(site, tmp_path / "user") as started:
            until(lambda: connected(home) == {NAME}, "it is not connected")
            yield Place(home, site, tmp_path, started.pid)
            if started.poll() is None:
                consilium("site", "stop", site.folder)
            started.wait(PATIENCE_S)
    until(lambda: processes_of(tmp_path) == [], "processes are left")


def runs(place: Place, code: int = 0) -> str:
    """A run to its end; what it told."""
    return consilium("coordinator", "run", place.home.folder, code=code)


def pid_of(place: Place, service: str) -> int | None:
    state = read_state(place.site.state / "services.json")
    return None if state is None else state.services[service].pid


def test_no_command_line_holds_a_token(place: Place) -> None:
    """Every account of a machine can read command lines; with a token anyone could answer past the gate."""
    seen: dict[int, list[bytes]] = {}
    with process(CONSILIUM, "coordinator", "run", place.home.folder, log=place.root / "run.log") as run:

        def look() -> bool:
            for pid in processes_of(place.root):
                try:
                    line = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                except OSError:  # it has ended
                    continue
                if b"client.runtime.launcher" in line:
                    seen[pid] = line
            return run.poll() is not None

        until(look, "the run does not end", PATIENCE_S)
    assert run.returncode == 0
    assert len(seen) >= 2
    assert all(b"--token-stdin" in line and b"--token" not in line for line in seen.values())
    assert len(receipts(place.site)) == 3


def test_a_receipt_that_cannot_be_written_costs_one_run_and_no_more(place: Place) -> None:
    kept = place.site.receipts.parent.with_name("kept")
    assert "The run is completed" in runs(place)
    place.site.receipts.parent.rename(kept)
    place.site.receipts.parent.write_text("in the way")
    runs(place, code=1)
    closed = read_journal(max(place.home.runs.iterdir()))[-1]
    assert isinstance(closed, RunRecord)
    assert [(one.site, one.reason) for one in closed.left_out] == [(NAME, "error")]
    place.site.receipts.parent.unlink()
    kept.rename(place.site.receipts.parent)
    assert "The run is completed" in runs(place)
    assert [one["message"] for one in receipts(place.site)] == [
        "StatisticsReply",
        "TrainReply",
        "EvaluateReply",
    ] * 2


def test_who_takes_over_the_local_port_is_told_nothing(place: Place, tmp_path: Path) -> None:
    """The SuperNode is gone for a minute; somebody else of the machine listens in its place, also with TLS."""
    assert "The run is completed" in runs(place)
    before, node = len(receipts(place.site)), pid_of(place, "supernode")
    assert node is not None
    port = site_home.read_connection(place.site).port
    pair = make(site_home.Home(tmp_path / "squatter"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pair.certificate, pair.key)
    os.kill(node, signal.SIGKILL)
    until(lambda: is_free(port), "it still listens")
    with socket.create_server((LOOPBACK, port)) as listener:
        listener.settimeout(DEADLINE_S)
        for _ in range(3):
            caller, _ = listener.accept()
            with caller, pytest.raises((ssl.SSLError, ConnectionError, EOFError)):  # noqa: PT012
                caller.settimeout(DEADLINE_S)
                with context.wrap_socket(caller, server_side=True) as secured:
                    told = secured.recv(1)
                    assert told == b""
                    raise EOFError
        assert status(place.site)["answering"] is False
    until(lambda: pid_of(place, "supernode") not in (None, node), "it does not come back", PATIENCE_S)
    until(lambda: connected(place.home) == {NAME}, "it is not connected again", PATIENCE_S)
    assert len(receipts(place.site)) == before
    assert "The run is completed" in runs(place)


def test_what_a_killed_supervisor_leaves_is_seen_and_ended(place: Place) -> None:
    state = read_state(place.site.state / "services.json")
    assert state is not None
    services = [each.pid for each in state.services.values() if each.pid is not None]
    os.kill(state.pid, signal.SIGKILL)
    until(lambda: birth_of(state.pid) != state.birth, "it did not end")
    told = json.loads(consilium("site", "status", place.site.folder, "--json"))
    assert told["running"] is False
    assert all(birth_of(pid) is not None for pid in services)
    text = consilium("site", "status", place.site.folder)
    assert "stop" in text
    assert "run" in consilium("site", "rekey", place.site.folder, code=2)
    consilium("site", "stop", place.site.folder)
    assert all(birth_of(pid) is None for pid in services)
