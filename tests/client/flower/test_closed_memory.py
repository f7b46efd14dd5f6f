"""Another process of the same account cannot read the gate's memory."""

import os
import subprocess
import sys

import pytest

from tests.attacks.attack_table import AttackRow

HOLD = "import sys; {close}print(flush=True); sys.stdin.read()"
CLOSE = "from client.flower.closed_memory import close_memory; close_memory(); "
READ = "import sys; open(f'/proc/{sys.argv[1]}/environ', 'rb').read(1)"


@pytest.mark.attack
@pytest.mark.skipif(sys.platform != "linux", reason="memory of processes is protected so on Linux alone")
def test_a_process_of_the_same_account_cannot_read_a_closed_memory(attack_row: AttackRow) -> None:
    read = {close: _is_read(close) for close in ("", CLOSE)}
    attack_row("gate's memory, from a process of its account", "closed", "read" if read[CLOSE] else "closed")
    assert read == {"": True, CLOSE: False}


def _is_read(close: str) -> bool:
    capabilities = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"] if os.geteuid() == 0 else []
    holder = [*capabilities, sys.executable, "-c", HOLD.format(close=close)]
    with subprocess.Popen(holder, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        process.stdout.readline()
        reader = [*capabilities, sys.executable, "-c", READ, str(process.pid)]
        told = subprocess.run(reader, capture_output=True, text=True, check=False)
        process.communicate()
    assert told.returncode == 0 or "PermissionError" in told.stderr, told.stderr
    return told.returncode == 0
