import os
import sys
from pathlib import Path

import pytest

from simulations.benchmarks.deployment import bare_flower
from simulations.benchmarks.deployment.bare_flower import bare_rounds, running, wait_for


def test_a_process_ends_with_all_that_it_started(tmp_path: Path) -> None:
    told = tmp_path / "told"
    child = "import os, sys, time; open(sys.argv[1], 'w').write(str(os.getpid())); time.sleep(600)"
    command = ["sh", "-c", f'"{sys.executable}" -c "{child}" "{told}" & wait']
    with running(command, tmp_path / "log", dict(os.environ)):
        wait_for(lambda: told.is_file() and bool(told.read_text()))
        pid = int(told.read_text())
    wait_for(
        lambda: not Path(f"/proc/{pid}/cmdline").is_file() or not Path(f"/proc/{pid}/cmdline").read_bytes()
    )


def test_nothing_is_waited_for_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bare_flower, "WAIT_S", 0.0)
    monkeypatch.setattr(bare_flower, "POLL_S", 0.0)
    with pytest.raises(TimeoutError):
        wait_for(lambda: False)


@pytest.mark.slow
def test_rounds_of_flower_by_itself(tmp_path: Path) -> None:
    seconds = bare_rounds(tmp_path, nodes=1, rounds=2, size_bytes=1000)
    assert len(seconds) == 2
    assert all(0 < one < bare_flower.WAIT_S for one in seconds)
