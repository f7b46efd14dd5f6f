"""One process coordinates a run, and everybody sees whether it is alive."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from common.errors import StateError
from server.home.run_lock import Coordination, alone, coordination

HELD = """
import sys, time
from pathlib import Path
from server.home.run_lock import alone
with alone(Path(sys.argv[1]), 41):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_process_is_refused_and_a_killed_one_is_seen_at_once(tmp_path: Path) -> None:
    assert coordination(tmp_path) == Coordination(None, is_alive=False)
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    holder = subprocess.Popen(
        [sys.executable, "-c", HELD, str(tmp_path)], stdout=subprocess.PIPE, env=env, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert coordination(tmp_path) == Coordination(41, is_alive=True)
        with pytest.raises(StateError), alone(tmp_path, 42):
            pytest.fail("two processes coordinate a run")
        assert coordination(tmp_path) == Coordination(41, is_alive=True)
    finally:
        holder.kill()
        holder.wait()
    assert coordination(tmp_path) == Coordination(41, is_alive=False)
    with alone(tmp_path, 42):
        assert coordination(tmp_path).flower_run == 42
    assert coordination(tmp_path) == Coordination(42, is_alive=False)
