"""The launcher's command line, and what the app's process gets of it."""

import os
import socket
import subprocess
import sys
from pathlib import Path

from common.processes.program import PROGRAM
from tests.system.processes import until


def test_the_command_has_flowers_own_command_line(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "client.runtime.launcher", str(tmp_path), "", "--help"]
    printed = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    for option in ("--runtime-api-address", "--token", "--insecure", "--root-certificates", "--parent-pid"):
        assert option in printed


class Started:
    """A launcher that waits for its SuperNode, and the app's process that it has started.

    Args:
        folder: the site folder.
        secrets: variables of its environment.
        token: of its task.
    """

    def __init__(self, folder: Path, secrets: dict[str, str], token: str) -> None:
        self.supernode = socket.create_server(("127.0.0.1", 0))  # takes the connection, and never answers
        address = f"127.0.0.1:{self.supernode.getsockname()[1]}"
        command = [*PROGRAM, "client.runtime.launcher", str(folder), ""]
        flower = ["--runtime-api-address", address, "--token-stdin", "--insecure"]
        self.gate = subprocess.Popen(
            [*command, *flower],
            env={**os.environ, **secrets},
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        assert self.gate.stdin is not None
        self.gate.stdin.write(token.encode() + b"\n")
        self.gate.stdin.flush()
        children = Path(f"/proc/{self.gate.pid}/task/{self.gate.pid}/children")
        until(lambda: bool(children.read_text()), "it starts no app")
        self.app = Path("/proc", children.read_text().split()[0])
        until(lambda: "libtorch" in (self.app / "maps").read_text(), "the app imports nothing")

    def end(self) -> None:
        self.gate.kill()
        self.gate.wait()
        self.supernode.close()


def test_the_apps_process_holds_neither_token_nor_key_and_ends_with_the_gate(tmp_path: Path) -> None:
    token, password = "TOKEN-5f2e", "PASSWORD-77"
    key = tmp_path / "keys" / "node_key"
    key.parent.mkdir()
    key.write_text("KEY-31")
    started = Started(
        tmp_path, {"HTTPS_PROXY": f"http://me:{password}@proxy:1", "NO_PROXY": "127.0.0.1"}, token
    )
    try:
        held = (started.app / "environ").read_bytes() + (started.app / "cmdline").read_bytes()
        for secret in (token, password, "PROXY"):
            assert secret.encode() not in held
        files = {int(link.name): os.readlink(link) for link in (started.app / "fd").iterdir()}
        assert [files.pop(number) for number in (0, 1, 2)] == ["/dev/null"] * 3
        assert [name.partition(":")[0] for name in files.values()] == ["socket"]
    finally:
        started.end()
    until(lambda: is_over(started.app), "the app is left")


def is_over(process: Path) -> bool:
    """Whether a process is gone, or has ended and is not yet waited for."""
    try:
        return (process / "cmdline").read_bytes() == b""
    except OSError:
        return True
