"""Memory and processor time of real processes."""

import subprocess
import sys
import time
from pathlib import Path

import pytest

from common.errors import MachineError
from simulations.benchmarks.measuring.process_tree import Watch, memory, processor_seconds, require_proc, tree

MIB = 2**20
_CHILD = """\
import sys
held = b"x" * (64 << 20)
sum(range(20_000_000))
print("there", flush=True)
sys.stdin.readline()
"""
_PARENT = """\
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", sys.argv[1]], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
print(child.pid, flush=True)
sys.stdin.readline()
child.communicate(b"\\n")
print(flush=True)
sys.stdin.readline()
"""


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="there is no /proc on this system")
def test_a_childs_memory_and_time_count_and_its_time_also_when_it_has_ended() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", _PARENT, _CHILD], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdin is not None
        with Watch(parent.pid) as watch:
            child = int(parent.stdout.readline())
            held = memory(parent.pid)
            end = time.monotonic() + 60
            while (
                watch.peak <= 64 * MIB and time.monotonic() < end
            ):  # the child holds it until it is told to end
                time.sleep(0.01)
            parent.stdin.write("\n")
            parent.stdin.flush()
            parent.stdout.readline()
        assert tree(parent.pid) == [parent.pid]
        assert child != parent.pid
        assert 64 * MIB < held < 512 * MIB
        assert watch.peak > 64 * MIB
        assert memory(parent.pid) < held - 48 * MIB
        assert processor_seconds(parent.pid) > 0.1
        parent.stdin.close()


def test_without_proc_nothing_is_measured(tmp_path: Path) -> None:
    with pytest.raises(MachineError) as refused:
        require_proc("bench rounds", tmp_path)
    assert refused.value.where == "bench rounds"
