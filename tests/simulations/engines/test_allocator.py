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
for _ in range(5):  # the heap grows until it fits
    before = faults()
print(faults() - before)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="of glibc")
def test_freed_memory_is_used_again_without_asking_the_system() -> None:
    def pages(how: str) -> int:
        ran = subprocess.run(
            [sys.executable, "-c", PROBE, how], capture_output=True, text=True, check=True, timeout=120
        )
        return int(ran.stdout)

    assert pages("keep") < 100 < 1000 < pages("as it is")
