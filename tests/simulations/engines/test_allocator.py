import subprocess
import sys

import pytest

PROBE = """
import resource, sys, torch
if sys.argv[1] == "keep":
    from simulations.engines.allocator import keep_freed_memory
    keep_freed_memory()
def faults():
    torch.ones(32 << 18).add_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
counts = [faults() for _ in range(25)]
# The heap grows until it fits, after a number of steps that differs between machines.
print(min(after - before for before, after in zip(counts[4:], counts[5:])))
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    def pages(how: str) -> int:
        ran = subprocess.run(
            [sys.executable, "-c", PROBE, how], capture_output=True, text=True, check=True, timeout=120
        )
        return int(ran.stdout)

    assert pages("keep") < 100 < 1000 < pages("as it is")
