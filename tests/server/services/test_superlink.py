import io
import json
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.control_pb2 import ListNodesResponse
from flwr.proto.node_pb2 import NodeInfo

from common.errors import InputError, StateError, UnreachableError
from common.node_keys import fingerprint
from server.home.places import CoordinatorHome, create_home
from server.services import superlink as control
from server.services.superlink import (
    Node,
    connected,
    known_keys,
    register_node,
    run_log,
    run_status,
    runs_in_progress,
    submit,
    unregister,
)

Says = Callable[[str], None]


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return create_home(tmp_path / "home", "localhost", 9443, None)


@pytest.fixture
def flwr_says(home: CoordinatorHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has a program print this in place of `flwr`, and write down its arguments."""
    program, answer = tmp_path / "flwr", tmp_path / "answer"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/asked"\ncat "{answer}"\n')
    program.chmod(0o700)
    monkeypatch.setattr(control, "require_running", lambda home: None)
    monkeypatch.setattr(control, "script", lambda name: str(program))

    def says(text: str) -> None:
        answer.write_text(text)

    return says


def test_numbers_of_nodes_and_runs_are_read_whole(
    home: CoordinatorHome, flwr_says: Says, tmp_path: Path
) -> None:
    flwr_says(json.dumps({"success": True, "node-id": 2**64 - 1}))
    assert register_node(home, Path("key.pub")) == 2**64 - 1
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["supernode", "register", str(Path.cwd() / "key.pub"), "coordinator", "--format", "json"]
    flwr_says(json.dumps({"success": True, "run-id": str(2**63 + 1)}))
    assert submit(home, Path("/b"), Path("/c.toml")) == 2**63 + 1
    flwr_says(json.dumps({"success": True, "runs": [{"status": "finished:failed"}]}))
    assert run_status(home, 7) == "finished:failed"
    flwr_says("two\nlines\n")
    assert run_log(home, 7) == "two\nlines\n"


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (
            json.dumps({"success": False, "error-message": "\nPublic key is in use.\n"}),
            "Public key is in use;",
        ),
        ("│ Connection refused │\n", "Connection refused;"),
        ("", "answered nothing;"),
    ],
)
def test_what_the_superlink_says_against_it_is_one_sentence(
    home: CoordinatorHome, flwr_says: Says, text: str, told: str
) -> None:
    flwr_says(text)
    with pytest.raises(InputError) as refused:
        runs_in_progress(home)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert f"consilium coordinator logs {home.folder} superlink" in str(refused.value)


class Answers:
    """An opener of addresses to which the SuperLink answers with these bytes, or not at all."""

    def __init__(self, body: bytes | None) -> None:
        self.body = body
        self.asked: list[str] = []

    def open(self, request: urllib.request.Request, timeout: float) -> io.BytesIO:
        self.asked.append(request.full_url)
        if self.body is None:
            raise urllib.error.URLError("refused")
        return io.BytesIO(self.body)


def pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_key().public_bytes(serialization.Encoding.PEM, form)


def test_nodes_are_found_by_their_keys(home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(control, "require_running", lambda home: None)
    one, other = (ec.generate_private_key(ec.SECP384R1()) for _ in range(2))
    nodes = [
        NodeInfo(node_id=2**64 - 1, status="online", public_key=pem(one)),
        NodeInfo(node_id=6, status="unregistered", public_key=pem(other)),
    ]
    answers = Answers(ListNodesResponse(nodes_info=nodes).SerializeToString())
    monkeypatch.setattr(control, "direct", lambda home: answers)
    assert known_keys(home) == {
        fingerprint(one.public_key()): Node(2**64 - 1, False),
        fingerprint(other.public_key()): Node(6, True),
    }
    (asked,) = answers.asked
    assert asked == f"https://127.0.0.1:{home.settings().internal_port}/v1/control/list-nodes"
    monkeypatch.setattr(control, "direct", lambda home: Answers(None))
    with pytest.raises(UnreachableError):
        known_keys(home)


def test_connected_nodes_are_told_with_the_time_of_their_coming(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(control, "require_running", lambda home: None)
    nodes = [
        NodeInfo(node_id=5, status="online", last_activated_at="2026-11-21T10:00:00.123456+00:00"),
        NodeInfo(node_id=6, status="offline", last_activated_at="2026-11-20T10:00:00+00:00"),
        NodeInfo(node_id=7, status="registered"),
    ]
    answers = Answers(ListNodesResponse(nodes_info=nodes).SerializeToString())
    monkeypatch.setattr(control, "direct", lambda home: answers)
    assert connected(home) == {5: "2026-11-21T10:00:00+00:00"}
    monkeypatch.setattr(control, "direct", lambda home: Answers(None))
    with pytest.raises(UnreachableError):
        connected(home)


def test_a_node_is_unregistered_and_runs_that_have_not_ended_are_found(
    home: CoordinatorHome, flwr_says: Says, tmp_path: Path
) -> None:
    flwr_says(json.dumps({"success": True, "node-id": 5}))
    unregister(home, 5)
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["supernode", "unregister", "5", "coordinator", "--format", "json"]
    runs = [{"run-id": str(2**64 - 1), "status": "running"}, {"run-id": "2", "status": "finished:stopped"}]
    flwr_says(json.dumps({"success": True, "runs": runs}))
    assert runs_in_progress(home) == (2**64 - 1,)


def test_a_coordinator_that_does_not_run_is_told(home: CoordinatorHome) -> None:
    with pytest.raises(StateError) as refused:
        connected(home)
    assert refused.value.where == str(home.folder)
    assert "`consilium coordinator start`" in refused.value.remedy
