import subprocess
import sys
from pathlib import Path

import pytest

from common.files import write_whole
from common.lifetime.leftovers import draft, remove_unfinished

WRITER = """
import os, sys
from pathlib import Path
sync = os.fsync
def stop(descriptor):
    print("writing", flush=True)
    sys.stdin.read()
    sync(descriptor)
os.fsync = stop
from common.files import write_whole
write_whole(Path(sys.argv[1]), b"a patient's values", durable=True)
"""


def test_the_file_of_a_killed_process_is_removed_and_that_of_a_running_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "state" / "residual.safetensors"
    path.parent.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        (unfinished,) = path.parent.iterdir()
        assert remove_unfinished(tmp_path) == 0
        assert unfinished.exists()
        process.kill()
    assert unfinished.exists()
    assert remove_unfinished(tmp_path, frozenset({"state"})) == 0
    assert remove_unfinished(tmp_path) == 1
    assert not list(path.parent.iterdir())


def test_files_of_other_names_stay(tmp_path: Path) -> None:
    for name in ("table.tmp", ".hidden", ".table.csv.tmp", "site.toml"):
        (tmp_path / name).write_text("x")
    (tmp_path / ".link.1.tmp").symlink_to(tmp_path / "site.toml")
    assert remove_unfinished(tmp_path) == 0
    assert len(list(tmp_path.iterdir())) == 5


def test_a_folder_that_is_not_there_has_no_leftovers(tmp_path: Path) -> None:
    assert remove_unfinished(tmp_path / "nothing") == 0


def test_a_draft_becomes_a_folder_or_nothing(tmp_path: Path) -> None:
    with draft(".home-", tmp_path) as new:
        write_whole(new / "key", b"secret")
        new.replace(tmp_path / "home")
    assert [path.name for path in tmp_path.iterdir()] == ["home"]
    with pytest.raises(OSError), draft(".home-", tmp_path):
        raise OSError
    assert [path.name for path in tmp_path.iterdir()] == ["home"]


def test_drafts_of_killed_processes_are_removed_and_those_of_others_are_not(tmp_path: Path) -> None:
    left = tmp_path / ".home-left"
    left.mkdir()
    with draft(".home-", tmp_path) as first, draft(".home-", tmp_path):
        assert not left.exists()
        assert first.is_dir()
