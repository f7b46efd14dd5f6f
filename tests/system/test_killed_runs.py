"""A coordinator's process of a run that is killed, cancelled or left alone, with hospitals as they run."""

import json
import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from client.site_folder import places as site_home
from common.agreement.federation import FILE_NAME, load, save
from server.home import places as coordinator_home
from server.home.run_lock import coordination
from server.records.journal import (
    CheckpointRecord,
    JournalRecord,
    RoundRecord,
    RunRecord,
    read_journal,
)
from server.records.result import WEIGHTS, load_result
from tests.system.processes import (
    PATIENCE_S,
    consilium,
    coordinator,
    join,
    lay_out,
    receipts,
    taking_part,
    until,
    without_folds,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nginx")]
FOLDERS = {1: "north", 2: "south"}
ROUNDS = 3


@dataclass(frozen=True)
class Running:
    """A coordinator with two hospitals that are connected."""

    home: coordinator_home.CoordinatorHome
    sites: dict[str, site_home.Home]

    def begin(self) -> Path:
        told = json.loads(consilium("coordinator", "run", self.home.folder, "--detach", "--json"))
        return Path(told["out"])

    def status(self) -> dict[str, Any]:
        told: dict[str, Any] = json.loads(consilium("coordinator", "status", self.home.folder, "--json"))
        last: dict[str, Any] = told["last_run"]
        return last

    def resume(self, out: Path, *more: object, code: int = 0) -> str:
        return consilium("coordinator", "run", self.home.folder, *more, "--resume", out.name, code=code)


def journal(out: Path) -> list[JournalRecord]:
    return read_journal(out) if (out / "journal.jsonl").is_file() else []


def trained(out: Path) -> int:
    return sum(isinstance(record, RoundRecord) and record.kind == "train" for record in journal(out))


def after(out: Path, rounds: int) -> None:
    until(lambda: trained(out) >= rounds, f"round {rounds} does not end", PATIENCE_S)


def process_of(home: coordinator_home.CoordinatorHome) -> int:
    """Process of the run that goes on."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            told = (entry / "environ").read_bytes()
        except OSError:
            continue
        if b"server.services.launcher" in words and os.fsencode(home.folder) in told:
            found.append(int(entry.name))
    (pid,) = found
    return pid


@pytest.fixture(scope="module")
def running(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    root = tmp_path_factory.mktemp("killed")
    cohort = lay_out(written_cohort, root, FOLDERS, ROUNDS, training__patience="9")
    for name in FOLDERS.values():
        without_folds(root / name)
    with coordinator(root / "home", "--federation", cohort) as home, ExitStack() as started:
        sites = {
            f"hospital {number}": join(home, f"hospital {number}", root / name)
            for number, name in FOLDERS.items()
        }
        for name, site in sites.items():
            started.enter_context(taking_part(site, root / f"user of {name}"))
        yield Running(home, sites)


def test_a_killed_run_is_resumed_with_the_replies_that_were_given(running: Running) -> None:
    whole = running.begin()
    consilium("coordinator", "attach", running.home.folder, whole.name)
    out = running.begin()
    after(out, 2)
    os.kill(process_of(running.home), signal.SIGKILL)
    began = time.monotonic()
    until(lambda: not coordination(out).is_alive, "the process lives on")
    told = running.status()
    assert (told["id"], told["status"]) == (out.name, "interrupted")
    assert told["resume"].endswith(f"--resume {out.name}")
    rounds = trained(out)
    running.resume(out)
    resumed = next(
        record for record in journal(out) if isinstance(record, RunRecord) and record.status == "resumed"
    )
    assert resumed.rounds >= rounds
    ended = journal(out)[-1]
    assert isinstance(ended, RunRecord)
    assert (ended.status, ended.rounds) == ("completed", ROUNDS)
    numbers = [record.round for record in journal(out) if isinstance(record, RoundRecord)]
    assert numbers == list(range(1, ROUNDS + 2))
    assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    for name, site in running.sites.items():
        mine = [receipt for receipt in receipts(site) if receipt["run"] == out.name]
        assert all(receipt["verdict"] == "passed" for receipt in mine)
        first = {receipt["sha256"] for receipt in mine if not receipt.get("again")}
        again = [receipt for receipt in mine if receipt.get("again")]
        assert {receipt["sha256"] for receipt in again} <= first
        accepted = {record.sites[name].sha256 for record in journal(out) if isinstance(record, RoundRecord)}
        assert accepted <= first
    print(f"resumed and ended {time.monotonic() - began:.1f} s after the end of the process")
    told_after = running.resume(out, code=2)
    assert "finished" in told_after


def test_a_cancelled_run_keeps_its_rounds_and_is_followed_from_anywhere(
    running: Running, tmp_path: Path
) -> None:
    out = running.begin()
    after(out, 1)
    assert "goes on" in running.resume(out, code=2)
    told = json.loads(consilium("coordinator", "cancel", running.home.folder, out.name, "--json"))
    assert told["resume"].endswith(f"--resume {out.name}")
    until(lambda: not coordination(out).is_alive, "the process lives on")
    assert running.status()["status"] == "cancelled"
    assert not (out / WEIGHTS).exists()
    assert "does not go on" in consilium("coordinator", "cancel", running.home.folder, out.name, code=2)
    other = tmp_path / "other"
    shutil.copytree(running.home.agreement, other)
    save(load(other / FILE_NAME).changed({"training.rounds": str(ROUNDS + 1)}), other / FILE_NAME)
    assert "another federation file" in running.resume(out, other, code=2)
    state = out / "state" / "state.json"
    whole = state.read_bytes()
    state.write_bytes(whole.replace(b'"number":', b'"number": ', 1))
    assert "checkpoint" in running.resume(out, code=2)
    state.write_bytes(whole)
    running.resume(out, "--detach")
    consilium("coordinator", "attach", running.home.folder)
    assert running.status()["status"] == "completed"
    assert load_result(out).weights
    steps = [record.steps for record in journal(out) if isinstance(record, CheckpointRecord)]
    assert steps == sorted(set(steps))
