import os
import signal
from pathlib import Path

import pytest

from common.errors import DiskFullError, OptionError, StateError
from simulations.poc.proof import ProofRequest, kept_folder, one_interruption, proven
from tests.full_disk import NO_ROOM


def nothing(line: str) -> None:
    raise AssertionError(line)


def test_a_folder_that_holds_something_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a file").touch()
    for occupied in (tmp_path, tmp_path / "a file"):
        with pytest.raises(StateError), kept_folder(occupied):
            raise AssertionError


def test_a_kept_folder_goes_with_a_failure_before_the_run_and_stays_after_it(tmp_path: Path) -> None:
    def fail(*made: str) -> None:
        with kept_folder(tmp_path / "new") as folder:
            folder.joinpath(*made).mkdir(parents=True, exist_ok=True)
            raise KeyError

    with pytest.raises(KeyError):
        fail("coordinator", "runs")
    assert not (tmp_path / "new").exists()
    with pytest.raises(KeyError):
        fail("coordinator", "runs", "20261128-100000")
    assert (tmp_path / "new").is_dir()


@pytest.mark.parametrize("keep", [True, False])
def test_bad_input_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, keep: bool) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    kept = tmp_path / "kept" if keep else None
    with pytest.raises(OptionError), proven(ProofRequest("lung", hospitals=11, keep=kept), nothing, nothing):
        raise AssertionError
    with pytest.raises(OptionError), proven(ProofRequest("no such cohort", keep=kept), nothing, nothing):
        raise AssertionError
    assert list(tmp_path.rglob("*")) == [tmp_path / "tmp"]


def test_a_full_disk_is_a_sentence_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int) -> None:
        raise OSError(*NO_ROOM.args)

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DiskFullError), proven(ProofRequest("lung", keep=tmp_path / "kept"), nothing, nothing):
        raise AssertionError
    assert not list(tmp_path.iterdir())


def test_ctrl_c_interrupts_once() -> None:
    ended = []

    def interrupted() -> None:
        with one_interruption():
            try:
                os.kill(os.getpid(), signal.SIGINT)
            finally:
                os.kill(os.getpid(), signal.SIGINT)
                ended.append(True)

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert ended
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    assert signal.SIG_IGN not in map(signal.getsignal, (signal.SIGTERM, signal.SIGHUP))
