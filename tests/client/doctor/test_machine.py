"""A machine that cannot train, or lets others in, is told with a remedy."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client.doctor import machine
from client.doctor.finding import Check, Finding, FindingCode
from client.site_folder.places import Home
from common.errors import InputCode
from common.files import write_whole


@pytest.fixture
def home(tmp_path: Path) -> Home:
    """A site folder with a key."""
    home = Home(tmp_path / "site")
    write_whole(home.key, b"key", 0o600)
    return home


def one(check: Check, home: Home) -> dict[str, Finding]:
    return {finding.check: finding for finding in check(home)}


def test_a_key_that_others_can_read(home: Home) -> None:
    home.key.chmod(0o644)
    found = one(machine.permissions, home)["node key"]
    assert (found.level, found.code) == ("fail", FindingCode.KEY_EXPOSED)
    assert str(home.key) in found.remedy


def test_a_state_folder_from_which_nothing_can_be_executed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one(machine.launcher, home)["launcher"].level == "ok"
    mounted = SimpleNamespace(f_flag=os.ST_NOEXEC)
    monkeypatch.setattr(os, "statvfs", lambda place: mounted)
    found = one(machine.launcher, home)["launcher"]
    assert (found.level, found.code) == ("fail", FindingCode.LAUNCHER_NOT_EXECUTABLE)
    assert str(home.folder) in found.message


def test_a_cache_that_others_can_get_at(home: Home) -> None:
    assert one(machine.cache, home)["cache"].level == "ok"
    home.state.mkdir(mode=0o700)
    home.cache.mkdir(mode=0o700)
    kept = home.cache / "kept.safetensors"
    kept.touch(mode=0o600)
    assert one(machine.cache, home)["cache"].level == "ok"
    for place, mode in ((kept, 0o640), (home.cache, 0o750), (home.state, 0o770)):
        before = place.stat().st_mode
        place.chmod(mode)
        found = one(machine.cache, home)["cache"]
        assert (found.level, found.code) == ("warn", FindingCode.CACHE_EXPOSED)
        place.chmod(before)
    assert one(machine.cache, home)["cache"].level == "ok"


class Machine:
    """A machine whose training process ends as described, and whose driver's tool is a script."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.folder, self.patch = folder, patch
        folder.mkdir()
        patch.setenv("PATH", str(folder))

    def trains(self, said: str = "", returncode: int = 0, wrong: str = "") -> None:
        """Let the process that is asked for Python and torch end like this."""
        run = subprocess.run

        def ending(command: Sequence[str], **given: Any) -> "subprocess.CompletedProcess[str]":
            if command[0] == sys.executable:
                return subprocess.CompletedProcess(command, returncode, said, wrong)
            return run(command, **given)

        self.patch.setattr(subprocess, "run", ending)

    def reports(self, **report: Any) -> None:
        self.trains(json.dumps({**PROBED, **report}))

    def driver(self, script: str) -> None:
        """Install a driver's tool that does this."""
        tool = self.folder / "nvidia-smi"
        tool.write_text(f"#!/bin/sh\n{script}\n")
        tool.chmod(0o755)


@pytest.fixture
def computer(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    return Machine(tmp_path / "bin", monkeypatch)


PROBED: dict[str, Any] = {
    "python": "3.11.7",
    "executable": "/venv/python",
    "torch": "2.13.0",
    "cuda": None,
    "threads": 2,
    "arithmetic": True,
    "devices": [],
    "device": None,
    "objection": None,
}
H200 = {"name": "cuda:0", "model": "H200", "memory_gib": 139.0, "works": True}


@pytest.mark.parametrize(
    ("devices", "cuda", "driver", "code"),
    [
        ([], None, False, FindingCode.OK),
        ([], None, True, FindingCode.TORCH_WITHOUT_CUDA),
        ([], "12.8", True, FindingCode.GPU_HIDDEN),
        ([H200], "12.8", True, FindingCode.OK),
        ([{"name": "cuda:0", "works": False}], "12.8", True, FindingCode.GPU_FAULTY),
    ],
)
def test_a_gpu_must_compute_in_the_process_that_trains(
    home: Home,
    computer: Machine,
    devices: list[dict[str, Any]],
    cuda: str | None,
    driver: bool,
    code: FindingCode,
) -> None:
    if driver:
        computer.driver("echo 'H200, 550.1'")
    computer.reports(devices=devices, cuda=cuda)
    assert one(machine.python, home)["gpu"].code == code


@pytest.mark.parametrize(("right", "level"), [(True, "ok"), (False, "fail")])
def test_arithmetic_that_comes_out_wrong_is_seen(
    home: Home, computer: Machine, right: bool, level: str
) -> None:
    computer.trains(f"a warning on the way\n{json.dumps({**PROBED, 'arithmetic': right})}\n")
    found = one(machine.python, home)
    assert "3.11.7" in found["python"].message
    assert found["torch"].level == level


def test_the_device_of_the_site_is_told(home: Home, computer: Machine) -> None:
    computer.reports(device="cpu")
    assert "cpu" in one(machine.python, home)["device"].message
    objection = {"where": "site.toml, device", "what": "no such GPU", "remedy": "say auto"}
    computer.reports(objection=objection)
    found = one(machine.python, home)["device"]
    assert (found.level, found.code, found.remedy) == ("fail", InputCode.MACHINE_UNFIT, "say auto")
    assert objection["where"] in found.message


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("Traceback ...\nModuleNotFoundError: No module named 'torch'\n", "No module named 'torch'"),
        ("", ""),
    ],
)
def test_a_training_process_that_cannot_start_is_told_in_its_last_words(
    home: Home, computer: Machine, wrong: str, told: str
) -> None:
    computer.trains(returncode=1, wrong=wrong)
    (found,) = machine.python(home)
    assert (found.level, "\n" in found.message) == ("fail", False)
    assert found.message.endswith(told)


def test_the_driver_says_which_gpus_there_are(home: Home, computer: Machine) -> None:
    computer.driver("echo 'NVIDIA H200, 550.1'; echo 'NVIDIA H200, 550.1'")
    computer.reports(devices=[H200], cuda="12.8")
    assert one(machine.python, home)["driver"].message == "NVIDIA H200, 550.1; NVIDIA H200, 550.1"


@pytest.mark.parametrize("script", ["echo 'Failed to initialize NVML' >&2; exit 9", "true", None])
def test_without_the_drivers_answer_there_is_no_gpu(
    home: Home, computer: Machine, script: str | None
) -> None:
    if script is not None:
        computer.driver(script)
    computer.reports(cuda="12.8")
    found = one(machine.python, home)
    assert (found["gpu"].code, "driver" in found) == (FindingCode.OK, False)


@pytest.mark.parametrize(("free_gib", "level"), [(0.1, "fail"), (1.0, "warn"), (50.0, "ok")])
def test_a_disk_that_fills_up(
    home: Home, monkeypatch: pytest.MonkeyPatch, free_gib: float, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=free_gib * 2**30))
    found = one(machine.disk, home)["disk"]
    assert (found.level, f"{free_gib:.1f} GiB" in found.message) == (level, True)


@pytest.mark.parametrize(("size_mib", "level"), [(32, "warn"), (64, "ok")])
def test_a_container_with_little_shared_memory(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size_mib: int, level: str
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(total=size_mib * 2**20))
    (found,) = machine.shared_memory(home, str(tmp_path))
    assert found.level == level
    (found,) = machine.shared_memory(home, str(tmp_path / "none"))
    assert (found.level, found.code) == ("warn", FindingCode.SHARED_MEMORY_SHORT)


def test_a_folder_that_cannot_be_written_is_named(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert list(one(machine.permissions, home)) == ["permissions"]
    home.receipts.parent.mkdir()
    monkeypatch.setattr(os, "access", lambda place, mode: place != home.receipts.parent)
    found = one(machine.permissions, home)["permissions"]
    assert (found.level, found.code) == ("fail", FindingCode.FOLDER_CLOSED)
    assert str(home.receipts.parent) in found.message


@pytest.mark.parametrize("is_set", [True, False])
def test_where_the_heads_are_kept_a_second_time_is_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_set: bool
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    if is_set:
        monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "state"))
    else:
        monkeypatch.delenv("CONSILIUM_STATE")
    found = one(machine.outside_copies, home)["outside"]
    assert (found.level, "CONSILIUM_STATE" in found.message) == ("ok", not is_set)
    assert str(tmp_path / ("state" if is_set else "consilium")) in found.message
    assert not (tmp_path / "state").exists()


def test_a_state_folder_that_cannot_be_written_is_told(
    home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        monkeypatch.setenv("CONSILIUM_STATE", str(place))
        found = one(machine.outside_copies, home)["outside"]
        assert (found.level, found.code) == ("fail", FindingCode.STATE_FOLDER_CLOSED)


def test_a_state_folder_in_the_site_folder_outlives_nothing(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(home.folder / "own"))
    found = one(machine.outside_copies, home)["outside"]
    assert (found.level, found.code) == ("warn", FindingCode.STATE_FOLDER_INSIDE)


def test_tables_that_every_user_can_read_are_named(home: Home, tmp_path: Path) -> None:
    (home.folder / "site.toml").write_text('name = "n"\nid = "patient"\n[tables]\noutcomes = "o.csv"\n')
    table = home.folder / "o.csv"
    table.touch()
    table.chmod(0o644)
    home.folder.chmod(0o750)
    assert one(machine.other_users, home)["other users"].level == "ok"
    home.folder.chmod(0o711)
    found = one(machine.other_users, home)["other users"]
    assert (found.level, found.remedy) == ("warn", f"chmod o-rwx {table}")
    table.chmod(0o640)
    assert one(machine.other_users, home)["other users"].level == "ok"
    home.folder.chmod(0o755)
    assert one(machine.other_users, home)["other users"].remedy == f"chmod o-rwx {home.folder}"


def test_a_site_that_runs_as_root_is_warned(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert (one(machine.user, home)["user"].level, one(machine.user, home)["user"].code) == (
        "warn",
        FindingCode.RUNS_AS_ROOT,
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert one(machine.user, home)["user"].level == "ok"
