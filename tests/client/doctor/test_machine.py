"""A machine that cannot train, or lets others in, is told with a remedy."""

import json
import os
import shutil
import subprocess
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from client.doctor import machine
from client.doctor.finding import Check, Finding, FindingCode
from client.site_folder.places import Home
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


@pytest.mark.parametrize(
    ("devices", "cuda", "driver", "code"),
    [
        ([], None, None, FindingCode.OK),
        ([], None, "H200, 550.1", FindingCode.TORCH_WITHOUT_CUDA),
        ([], "12.8", "H200, 550.1", FindingCode.GPU_HIDDEN),
        (
            [{"name": "cuda:0", "model": "H200", "memory_gib": 139.0, "works": True}],
            "12.8",
            "H200, 550.1",
            FindingCode.OK,
        ),
        ([{"name": "cuda:0", "works": False}], "12.8", "H200, 550.1", FindingCode.GPU_FAULTY),
    ],
)
def test_a_gpu_must_compute_in_the_process_that_trains(
    devices: list[dict[str, Any]],
    cuda: str | None,
    driver: str | None,
    code: FindingCode,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_driver", lambda: driver)
    findings = list(machine._gpus({"devices": devices, "cuda": cuda}))
    assert findings[0].code == code


def child(monkeypatch: pytest.MonkeyPatch, returncode: int = 0, said: str = "", wrong: str = "") -> None:
    """Make every process that is started end like this."""
    ended = subprocess.CompletedProcess((), returncode, said, wrong)
    monkeypatch.setattr(subprocess, "run", lambda *_, **__: ended)


PROBED = {"python": "3.11.7", "executable": "/venv/python", "torch": "2.13.0", "cuda": None, "threads": 2}
PROBED |= {"device": None, "objection": None}


@pytest.mark.parametrize(("right", "level"), [(True, "ok"), (False, "fail")])
def test_arithmetic_that_comes_out_wrong_is_seen(
    home: Home, monkeypatch: pytest.MonkeyPatch, right: bool, level: str
) -> None:
    told = json.dumps({**PROBED, "arithmetic": right, "devices": []})
    child(monkeypatch, said=f"a warning on the way\n{told}\n")
    monkeypatch.setattr(machine, "_driver", lambda: None)
    found = one(machine.python, home)
    assert "3.11.7" in found["python"].message
    assert found["torch"].level == level


def test_the_device_of_the_site_is_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine, "_driver", lambda: None)
    child(monkeypatch, said=json.dumps({**PROBED, "arithmetic": True, "devices": [], "device": "cpu"}))
    assert "cpu" in one(machine.python, home)["device"].message
    objection = {
        "where": "site.toml, device",
        "what": "asks for cuda, and there is none",
        "remedy": "say auto",
    }
    child(monkeypatch, said=json.dumps({**PROBED, "arithmetic": True, "devices": [], "objection": objection}))
    found = one(machine.python, home)["device"]
    assert (found.level, found.remedy) == ("fail", "say auto")
    assert found.message == f"{objection['where']}: {objection['what']}"


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ("Traceback ...\nModuleNotFoundError: No module named 'torch'\n", "No module named 'torch'"),
        ("", ""),
    ],
)
def test_a_training_process_that_cannot_start_is_told_in_its_last_words(
    home: Home, monkeypatch: pytest.MonkeyPatch, wrong: str, told: str
) -> None:
    child(monkeypatch, returncode=1, wrong=wrong)
    (found,) = machine.python(home)
    assert (found.level, "\n" in found.message) == ("fail", False)
    assert found.message.endswith(told)


@pytest.mark.parametrize(
    ("script", "told"),
    [
        ("echo 'NVIDIA H200, 550.1'; echo 'NVIDIA H200, 550.1'", "NVIDIA H200, 550.1; NVIDIA H200, 550.1"),
        ("echo 'Failed to initialize NVML' >&2; exit 9", None),
        ("true", None),
    ],
)
def test_the_driver_says_which_gpus_there_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, told: str | None
) -> None:
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(tool))
    assert machine._driver() == told


def test_without_its_tool_there_is_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert machine._driver() is None


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
    monkeypatch.setattr(machine, "SHARED_MEMORY", str(tmp_path))
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(total=size_mib * 2**20))
    assert one(machine.shared_memory, home)["shared memory"].level == level
    monkeypatch.setattr(machine, "SHARED_MEMORY", str(tmp_path / "none"))
    found = one(machine.shared_memory, home)["shared memory"]
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
