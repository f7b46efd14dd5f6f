"""Questions and orders to the coordinator's SuperLink, by Flower's command line if it can."""

import json
import os
import shlex
import subprocess
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from flwr.proto.control_pb2 import ListNodesRequest, ListNodesResponse
from flwr.proto.node_pb2 import NodeInfo

from common.errors import StateError, UnreachableError
from common.node_keys import PublicKey, fingerprint, public_text
from common.processes.supervision_state import read_state
from common.processes.task_launcher import LOOPBACK
from server.home.places import CoordinatorHome
from server.services.processes import CONNECTION, direct, environment, script

TIMEOUT_S = 120


@dataclass(frozen=True)
class Node:
    """Node of a key at the SuperLink, and whether the key was unregistered, which is for ever."""

    number: int
    unregistered: bool


def known_keys(home: CoordinatorHome) -> dict[str, Node]:
    """Fingerprint -> node, of every key the SuperLink was ever given.

    The list of `flwr supernode list` names no keys.

    Raises:
        InputError: if the coordinator does not run or the SuperLink does not answer.
    """
    return {fingerprint(key): Node(node.node_id, node.status == "unregistered") for node, key in _keys(home)}


def public_keys(home: CoordinatorHome) -> dict[str, str]:
    """Fingerprint -> key in OpenSSH form, of every key the SuperLink was ever given.

    Raises:
        InputError: if the coordinator does not run or the SuperLink does not answer.
    """
    return {fingerprint(key): public_text(key).decode().strip() for _, key in _keys(home)}


def _keys(home: CoordinatorHome) -> Iterator[tuple[NodeInfo, PublicKey]]:
    for node in _nodes(home):
        key = serialization.load_pem_public_key(node.public_key)
        if isinstance(key, PublicKey):
            yield node, key


def _nodes(home: CoordinatorHome) -> list[NodeInfo]:
    require_running(home)
    request = urllib.request.Request(
        f"https://{LOOPBACK}:{home.settings().internal_port}/v1/control/list-nodes",
        data=ListNodesRequest().SerializeToString(),
        headers={"Content-Type": "application/protobuf"},
    )
    try:
        with direct(home).open(request, timeout=TIMEOUT_S) as reply:
            return list(ListNodesResponse.FromString(reply.read()).nodes_info)
    except OSError:
        raise UnreachableError("the SuperLink", "does not answer", _look(home)) from None


def register_node(home: CoordinatorHome, public_key: Path) -> int:
    """Have the SuperLink accept this key; the number of the node that it will be.

    Raises:
        InputError: if the coordinator does not run, or the SuperLink knows the key.
    """
    return int(_ask(home, "supernode", "register", str(public_key.absolute()), CONNECTION)["node-id"])


def unregister(home: CoordinatorHome, node: int) -> None:
    """Have the SuperLink refuse this node's key from now on.

    Raises:
        InputError: if the coordinator does not run, or the SuperLink does not know the node.
    """
    _ask(home, "supernode", "unregister", str(node), CONNECTION)


def connected(home: CoordinatorHome) -> dict[int, str]:
    """The nodes that are connected now, and since when, ISO 8601 in UTC.

    Raises:
        InputError: if the coordinator does not run or the SuperLink does not answer.
    """
    return {
        node.node_id: datetime.fromisoformat(node.last_activated_at).isoformat(timespec="seconds")
        for node in _nodes(home)
        if node.status == "online"
    }


def submit(home: CoordinatorHome, bundle: Path, run_config: Path) -> int:
    """Start a run of a bundle and return Flower's number of it.

    Raises:
        InputError: if the coordinator does not run, or the SuperLink does not take the bundle.
    """
    return int(_ask(home, "run", str(bundle), CONNECTION, "--run-config", str(run_config))["run-id"])


def run_status(home: CoordinatorHome, run: int) -> str:
    """Flower's word for how far a run is, such as `running` or `finished:failed`.

    Raises:
        InputError: if the coordinator does not run.
    """
    return str(_ask(home, "list", CONNECTION, "--run-id", str(run))["runs"][0]["status"])


def runs_in_progress(home: CoordinatorHome) -> tuple[int, ...]:
    """Flower's numbers of the runs that have not ended.

    Raises:
        InputError: if the coordinator does not run.
    """
    runs = _ask(home, "list", CONNECTION)["runs"]
    return tuple(int(run["run-id"]) for run in runs if not str(run["status"]).startswith("finished"))


def stop_run(home: CoordinatorHome, run: int) -> None:
    """End a run.

    Raises:
        InputError: if the coordinator does not run, or the run has ended.
    """
    _ask(home, "stop", str(run), CONNECTION)


def run_log(home: CoordinatorHome, run: int) -> str:
    """Log of the coordinator's part of a run.

    Raises:
        InputError: if the coordinator does not run or the SuperLink does not answer.
    """
    return _flwr(home, "log", str(run), CONNECTION, "--show").stdout


def require_running(home: CoordinatorHome) -> None:
    """The coordinator has to run.

    Raises:
        InputError: if it does not.
    """
    if read_state(home.services) is None:
        raise StateError(
            str(home.folder), "this coordinator does not run", "start it by `consilium coordinator start`"
        )


def _ask(home: CoordinatorHome, *arguments: str) -> dict[str, Any]:
    done = _flwr(home, *arguments, "--format", "json")
    try:
        answer: dict[str, Any] = json.loads(done.stdout)
    except json.JSONDecodeError:
        raise UnreachableError("the SuperLink", _last_line(done.stdout + done.stderr), _look(home)) from None
    if not answer.get("success"):
        raise UnreachableError("the SuperLink", _last_line(str(answer.get("error-message", ""))), _look(home))
    return answer


def _flwr(home: CoordinatorHome, *arguments: str) -> "subprocess.CompletedProcess[str]":
    require_running(home)
    try:
        return subprocess.run(
            [script("flwr"), *arguments],
            env={**os.environ, **environment(home)},
            cwd=home.flower,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise UnreachableError("the SuperLink", "does not answer", _look(home)) from None


def _look(home: CoordinatorHome) -> str:
    return f"look at `consilium coordinator logs {shlex.quote(str(home.folder))} superlink`"


def _last_line(text: str) -> str:
    lines = [line.strip(" │╭╰─╮╯") for line in text.splitlines()]
    nonempty = [line for line in lines if line]
    return nonempty[-1].rstrip(".") if nonempty else "answered nothing"
