"""Files are written whole or not at all, whatever happens meanwhile, and private files are read by no other account."""

import errno
import os
import resource
import signal
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from common.files import copy_whole, is_private, read_private, write_whole

MEGABYTE = 1 << 20


@pytest.fixture
def small_disk() -> Iterator[int]:
    """A limit of half a megabyte on what this process can write to a file: what is beyond fails as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEGABYTE // 2, before[1]))
    yield MEGABYTE // 2
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """The files and folders that were synced, in order."""
    paths: list[Path] = []
    sync = os.fsync

    def noted(descriptor: int) -> None:
        paths.append(Path(os.readlink(f"/proc/self/fd/{descriptor}")))
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", noted)
    return paths


def test_a_file_is_written_with_its_mode_and_nothing_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "keys" / "node_key"
    write_whole(path, b"first", 0o600)
    write_whole(path, b"second", 0o600)
    assert path.read_bytes() == b"second"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(path.parent.iterdir()) == [path]


def test_what_a_dead_process_left_gives_a_file_neither_content_nor_mode(tmp_path: Path) -> None:
    path = tmp_path / "secret"
    left = tmp_path / f".secret.{os.getpid()}.tmp"
    left.write_bytes(b"a longer secret that came before")
    left.chmod(0o666)
    write_whole(path, b"secret", 0o600)
    assert path.read_bytes() == b"secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert not left.exists()


def test_a_full_disk_leaves_the_old_content_and_no_temporary_file(tmp_path: Path, small_disk: int) -> None:
    path = tmp_path / "result.json"
    write_whole(path, b"old")
    with pytest.raises(OSError) as failed:
        write_whole(path, b"n" * 2 * small_disk)
    assert failed.value.errno == errno.EFBIG
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fails_as_it_is_synced_leaves_the_old_content(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "approval.json"
    write_whole(path, b"first")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError) as failed:
        write_whole(path, b"second")
    assert failed.value.errno == errno.ENOSPC
    assert path.read_bytes() == b"first"
    assert list(tmp_path.iterdir()) == [path]


WRITER = f"""
import sys
from pathlib import Path
from common.files import write_whole
path, number = Path(sys.argv[1]), 0
while True:
    write_whole(path, bytes([97 + number % 26]) * {MEGABYTE})
    if not number:
        print("written", flush=True)
    number += 1
"""


def test_a_process_that_is_killed_leaves_one_whole_content(tmp_path: Path) -> None:
    path = tmp_path / "enrolled.json"
    for _ in range(5):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "written\n"
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert len(content) == MEGABYTE
        assert len(set(content)) == 1


def test_a_durable_file_and_every_new_folder_are_synced(tmp_path: Path, synced: list[Path]) -> None:
    path = tmp_path / "prior" / "sets" / "pathways.csv"
    write_whole(path, b"pathway,gene\n")
    assert {tmp_path, tmp_path / "prior", path.parent} <= set(synced)
    assert synced[-2].name.startswith(".pathways.csv."), "the file before the folder that names it"
    assert synced[-1] == path.parent


def test_a_file_that_need_not_be_durable_waits_for_no_disk(tmp_path: Path, synced: list[Path]) -> None:
    write_whole(tmp_path / "new" / "progress.json", b"{}", durable=False)
    assert synced == []
    assert (tmp_path / "new" / "progress.json").read_bytes() == b"{}"


def test_private_is_what_this_user_alone_can_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "kept"
    place.mkdir(mode=0o700)
    assert is_private(place)
    link = tmp_path / "link"
    link.symlink_to(place)
    assert not is_private(link), "whoever made the link may point it elsewhere"
    for mode in (0o710, 0o704, 0o720, 0o702):
        place.chmod(mode)
        assert not is_private(place), oct(mode)
    place.chmod(0o700)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert not is_private(place)


def test_a_private_file_is_read_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, link = tmp_path / "kept", tmp_path / "link"
    write_whole(place, b"CANARY-8371", 0o600)
    link.symlink_to(place)
    assert read_private(place) == b"CANARY-8371"
    with pytest.raises(OSError) as refused:
        read_private(link)
    assert refused.value.errno == errno.ELOOP
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "nothing")
    for mode in (0o640, 0o604, 0o620, 0o602):
        place.chmod(mode)
        assert read_private(place) is None, oct(mode)
    place.chmod(0o600)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert read_private(place) is None


def test_a_copy_is_durable_and_as_private_as_its_source(synced: list[Path], tmp_path: Path) -> None:
    source, target = tmp_path / "source", tmp_path / "copies" / "target"
    source.write_bytes(b"content")
    source.chmod(0o600)
    copy_whole(source, target)
    assert target.read_bytes() == b"content"
    assert stat.S_IMODE(target.stat().st_mode) == 0o600
    assert target.parent in synced


@pytest.mark.parametrize(
    ("mode", "group"), [(0o2770, 0o660), (0o770, 0o600), (0o2775, 0o600), (0o2750, 0o600)]
)
def test_a_file_in_a_shared_folder_is_open_to_its_group_alone(tmp_path: Path, mode: int, group: int) -> None:
    folder = tmp_path / "both"
    folder.mkdir()
    folder.chmod(mode)
    before = os.umask(0o077)
    try:
        write_whole(folder / "kept", b"x", 0o600)
    finally:
        os.umask(before)
    assert (folder / "kept").stat().st_mode & 0o777 == group
    assert read_private(folder / "kept") == b"x"
    (folder / "kept").chmod(group | 0o004)
    assert read_private(folder / "kept") is None
