import errno
import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import DiskFullError, MachineError
from simulations.work_folder import LOCK, PREFIX, WorkFolder, remove_abandoned, temporary_parent, work_folder

KEEPER = """
import sys
from simulations.work_folder import work_folder
with work_folder() as folder:
    (folder / "sub").mkdir()
    (folder / "sub" / "outcomes.csv").write_text("patient,time\\n")
    print(folder, flush=True)
    sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def parent(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setenv("TMPDIR", str(folder))
    return folder


def keeper() -> "subprocess.Popen[str]":
    """Start a process that has a work folder with a table in it, until its input ends."""
    process = subprocess.Popen(
        [sys.executable, "-c", KEEPER], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert Path(process.stdout.readline().strip()).is_dir()
    return process


def test_a_folder_is_ours_alone_and_goes_with_its_block(parent: Path) -> None:
    with work_folder() as folder:
        assert folder.parent == parent
        assert folder.stat().st_mode & 0o077 == 0
    assert not list(parent.iterdir())


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_process_that_is_ended_leaves_nothing(parent: Path, number: signal.Signals, code: int) -> None:
    with keeper() as process:
        process.send_signal(number)
    assert process.returncode == code
    assert not list(parent.iterdir())


def test_the_next_process_removes_what_a_killed_one_left_and_nothing_else(parent: Path) -> None:
    (parent / f"{PREFIX}of-an-earlier-version").mkdir()
    (parent / "another").mkdir()
    with keeper() as running:
        with keeper() as killed:
            killed.kill()
        left = {path for path in parent.glob(f"{PREFIX}*") if (path / "sub" / "outcomes.csv").exists()}
        assert len(left) == 2
        with work_folder():
            remaining = {path for path in left if path.exists()}
            assert len(remaining) == 1
        assert running.poll() is None
        (kept,) = remaining
        assert (kept / "sub" / "outcomes.csv").exists()
        running.communicate("")
    names = sorted(path.name for path in parent.iterdir())
    assert names == ["another", f"{PREFIX}of-an-earlier-version"]


def abandoned(parent: Path, line: str | None = None) -> Path:
    """A folder as a killed process left it."""
    folder = WorkFolder(parent)
    assert folder._lock is not None
    if line is not None:
        (folder.path / LOCK).write_text(line)
    os.close(folder._lock)
    return folder.path


def test_a_folder_of_another_machine_on_a_shared_disk_stays(parent: Path) -> None:
    other = abandoned(parent, "another-host another-boot")
    assert remove_abandoned(parent) == 0
    assert other.exists()


def test_a_lock_that_is_a_link_or_held_keeps_a_folder(parent: Path, tmp_path: Path) -> None:
    linked = abandoned(parent)
    (linked / LOCK).rename(tmp_path / "lock")
    (linked / LOCK).symlink_to(tmp_path / "lock")
    held = parent / f"{PREFIX}held"
    held.mkdir()
    (held / LOCK).write_bytes((tmp_path / "lock").read_bytes())
    with (held / LOCK).open() as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert remove_abandoned(parent) == 0
    assert remove_abandoned(parent) == 1
    assert linked.exists()


def test_a_full_disk_names_the_folder_or_the_file(parent: Path, tmp_path: Path) -> None:
    for named, where in ((None, parent), (parent / "x" / "y", parent), (tmp_path / "out", tmp_path / "out")):
        with pytest.raises(DiskFullError) as full, work_folder():
            raise OSError(errno.ENOSPC, "No space left", *([str(named)] if named else []))
        assert full.value.where == str(where)
        assert ("TMPDIR" in full.value.remedy) == (where == parent)
    assert not list(parent.iterdir())


def test_a_temporary_folder_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TMPDIR")
    monkeypatch.setattr("tempfile.gettempdir", lambda: (_ for _ in ()).throw(FileNotFoundError("none")))
    with pytest.raises(MachineError):
        temporary_parent()
