"""A SuperNode's process lives as long as its main loop, and no longer."""

import subprocess
import sys
from pathlib import Path

import pytest

from client.site_folder.keys import new_key
from client.site_folder.places import Home
from common.files import write_whole
from tests.client.coordinator_stub import dial

PROGRAM = """
import sys, threading, types
def supernode():
    threading.Thread(target=threading.Event().wait).start()
    print(sys.argv[1:], flush=True)
    {last}
flower = types.ModuleType("flwr.supernode.cli")
flower.flower_supernode = supernode
sys.modules["flwr.supernode.cli"] = flower
import client.flower.supernode
client.flower.supernode.guard = lambda home: print(home.folder, flush=True)
sys.argv = ["client.flower.supernode", "/a/site", "--superlink", "fl.example.org:9443"]
from client.flower.supernode import main
main()
"""


@pytest.mark.parametrize(
    ("last", "code"),
    [
        ("return", 1),
        ("raise ConnectionError('CANARY-8371')", 1),
        ("sys.exit(0)", 0),
        ("sys.exit(7)", 7),
    ],
)
def test_when_the_loop_ends_so_does_the_process_and_never_as_if_all_were_well(last: str, code: int) -> None:
    """Only Flower's own exit, after a signal, is no failure."""
    command = [sys.executable, "-c", PROGRAM.format(last=last)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (ended.returncode, ended.stdout) == (
        code,
        "/a/site\n['--superlink', 'fl.example.org:9443']\n",
    )
    assert "CANARY" not in ended.stderr


def test_it_is_flowers_own_command(tmp_path: Path) -> None:
    home = Home(tmp_path)
    write_whole(home.key, new_key()[0], 0o600)
    dial(home, "fl.example.org", 9443)
    command = [sys.executable, "-P", "-m", "client.flower.supernode", str(tmp_path), "--help"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    for option in (
        "--superlink",
        "--root-certificates",
        "--auth-supernode-private-key",
        "--isolation",
        "--node-config",
    ):
        assert option in ended.stdout
