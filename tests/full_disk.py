"""Disk that is full from a given write on, for the commands that write state."""

import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import Result as Ended

NO_ROOM = OSError(errno.ENOSPC, "No space left on device")


def ends_on_full_disks(
    monkeypatch: pytest.MonkeyPatch, folder: Path, command: Callable[[], Ended]
) -> Iterator[Ended]:
    """Run a command with room for 0, 1, 2 ... writes to the disk, until it succeeds.

    Each failure has to say in one sentence which file had no room, and leaves no half of a file in the folder.
    """
    for room in range(200):
        with monkeypatch.context() as full:
            full.setattr(os, "fsync", _limited(os.fsync, room))
            ended = command()
        if ended.exit_code == 0:
            assert room, "nothing was written"
            return
        assert ended.exit_code == 2, ended.output
        sentence = ended.stderr.strip()
        assert sentence.count("\n") == 0, sentence
        assert "the disk is full" in sentence, sentence
        assert "consilium: a file:" not in sentence, sentence
        assert not [path for path in folder.rglob(".*") if path.name.endswith(".tmp")]
        yield ended
    raise AssertionError("the command never succeeds")


def _limited(fsync: Callable[[int], None], room: int) -> Callable[[int], None]:
    left = room

    def limited(descriptor: int) -> None:
        nonlocal left
        if left == 0:
            raise OSError(*NO_ROOM.args)
        left -= 1
        fsync(descriptor)

    return limited
