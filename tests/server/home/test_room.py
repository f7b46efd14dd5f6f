"""A run ends with a sentence before hospitals' replies fill the disk."""

import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest

from common.errors import MachineError
from server.home.room import LEAST_FREE, require_room


def test_a_disk_that_is_nearly_full_is_named_with_the_room_that_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for free, enough in ((LEAST_FREE, True), (LEAST_FREE - 1, False)):
        monkeypatch.setattr(shutil, "disk_usage", lambda _, free=free: SimpleNamespace(free=free))
        if enough:
            require_room(tmp_path)
            continue
        with pytest.raises(MachineError) as raised:
            require_room(tmp_path)
        assert raised.value.where == str(tmp_path)
        assert "524 MB" in raised.value.what
