"""Rounds of Flower with an app that does nothing: the floor under a deployment's round.

A SuperLink, a SuperExec and SuperNodes as `consilium coordinator start` and `consilium site start` run them, but
without TLS, keys, proxy, launcher or any import: a node sends the array of its request back.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from signal import SIGKILL, SIGTERM

import tomli_w

from common.processes.task_launcher import LOOPBACK
from server.home.places import free_port
from server.services.processes import script

WAIT_S = 300.0


POLL_S = 0.2


GRACE_S = 15.0


_CLIENT = """\
from flwr.app import Message
from flwr.clientapp import ClientApp

app = ClientApp()


@app.train()
def train(message, context):
    return Message(message.content, reply_to=message)
"""


_SERVER = """\
import json
import time
from pathlib import Path

import numpy as np
from flwr.app import Array, ArrayRecord, Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    config = context.run_config
    while len(nodes := list(grid.get_node_ids())) < config["nodes"]:
        time.sleep(0.2)
    content = RecordDict({"arrays": ArrayRecord({"arrays": Array(np.zeros(config["bytes"], np.uint8))})})
    seconds = []
    for _ in range(config["rounds"]):
        begun = time.monotonic()
        asked = [Message(content, dst_node_id=node, message_type="train") for node in nodes]
        replies = list(grid.send_and_receive(asked, timeout=300))
        assert len(replies) == len(nodes) and not any(reply.has_error() for reply in replies)
        seconds.append(time.monotonic() - begun)
    path = Path(config["out"])
    path.with_suffix(".tmp").write_text(json.dumps(seconds))
    path.with_suffix(".tmp").replace(path)
"""


def bare_rounds(folder: Path, nodes: int, rounds: int, size_bytes: int) -> tuple[float, ...]:
    """Measure the seconds of the rounds of a run of bare Flower.

    Args:
        folder: empty folder for all files.
        nodes: number of SuperNodes.
        rounds: number of rounds.
        size_bytes: size of the array that travels there and back.
    """
    environment = {
        **os.environ,
        "FLWR_HOME": str(folder / "flower"),
        "FLWR_TELEMETRY_ENABLED": "0",
        "FLWR_DISABLE_UPDATE_CHECK": "1",
        "NO_PROXY": f"{LOOPBACK},localhost",
        "no_proxy": f"{LOOPBACK},localhost",
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)]),
    }
    address, seconds = f"{LOOPBACK}:{free_port()}", folder / "seconds.json"
    _write_project(
        folder, address, {"nodes": nodes, "rounds": rounds, "bytes": size_bytes, "out": str(seconds)}
    )
    with ExitStack() as started:

        def start(name: str, *arguments: str) -> None:
            log = folder / f"{name}.log"
            started.enter_context(running([script(arguments[0]), *arguments[1:]], log, environment))

        host, _, port = address.partition(":")
        listen = ("--insecure", "--isolation", "process", "--host", host)
        off = "--disable-runtime-dependency-installation"
        start(
            "link", "flower-superlink", *listen, "--port", port, "--database", str(folder / "state.db"), off
        )
        start("exec", "flower-superexec", "--insecure", "--runtime-api-address", address)
        for node in range(nodes):
            node_port = free_port()
            start(
                f"node-{node}", "flower-supernode", *listen, "--superlink", address, "--port", str(node_port)
            )
            start(
                f"exec-{node}",
                "flower-superexec",
                "--insecure",
                "--runtime-api-address",
                f"{host}:{node_port}",
            )
        command = [script("flwr"), "run", str(folder / "app"), "bare"]
        wait_for(
            lambda: subprocess.run(command, env=environment, capture_output=True, check=False).returncode == 0
        )
        wait_for(seconds.exists)
    return tuple(json.loads(seconds.read_text()))


def _write_project(folder: Path, address: str, config: dict[str, int | str]) -> None:
    package = folder / "app" / "bare"
    package.mkdir(parents=True)
    for name, text in (("__init__", ""), ("client", _CLIENT), ("server", _SERVER)):
        (package / f"{name}.py").write_text(text)
    app = {"publisher": "bare", "config": config}
    app["components"] = {"serverapp": "bare.server:app", "clientapp": "bare.client:app"}
    project = {"name": "bare", "version": "1.0.0", "license": "Apache-2.0", "dependencies": []}
    descriptor = {"project": project, "tool": {"flwr": {"app": app}}}
    (folder / "app" / "pyproject.toml").write_text(tomli_w.dumps(descriptor))
    (folder / "flower").mkdir()
    connection = {"superlink": {"default": "bare", "bare": {"address": address, "insecure": True}}}
    (folder / "flower" / "config.toml").write_text(tomli_w.dumps(connection))


@contextmanager
def running(command: Sequence[str], log: Path, environment: dict[str, str]) -> Iterator[None]:
    """Run a process, and end it with all its children when the context ends."""
    with log.open("ab") as output:
        started = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield
    finally:
        for number in (SIGTERM, SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(started.pid, number)
                started.wait(GRACE_S)
        started.wait()


def wait_for(condition: Callable[[], bool]) -> None:
    """Poll a condition until it holds.

    Raises:
        TimeoutError: if the condition does not hold within `WAIT_S` seconds.
    """
    end = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(POLL_S)
