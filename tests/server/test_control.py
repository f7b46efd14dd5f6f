import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.errors import InputError
from server import control
from server.control import connected, register, run_log, run_status, submit
from server.home import Home, create

Says = Callable[[str], None]


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create(tmp_path / "home", "localhost", 9443, None)


@pytest.fixture
def flwr_says(home: Home, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Says:
    """Has a program print this in place of `flwr`, and write down its arguments."""
    program, answer = tmp_path / "flwr", tmp_path / "answer"
    program.write_text(f'#!/bin/sh\nprintf "%s\\n" "$@" > "{tmp_path}/asked"\ncat "{answer}"\n')
    program.chmod(0o700)
    monkeypatch.setattr(control, "require_running", lambda home: None)
    monkeypatch.setattr(control, "script", lambda name: str(program))

    def says(text: str) -> None:
        answer.write_text(text)

    return says


def test_numbers_of_nodes_and_runs_are_read_whole(home: Home, flwr_says: Says, tmp_path: Path) -> None:
    flwr_says(json.dumps({"success": True, "node-id": 2**64 - 1}))
    assert register(home, Path("key.pub")) == 2**64 - 1
    asked = (tmp_path / "asked").read_text().splitlines()
    assert asked == ["supernode", "register", str(Path.cwd() / "key.pub"), "coordinator", "--format", "json"]
    flwr_says(json.dumps({"success": True, "run-id": str(2**63 + 1)}))
    assert submit(home, Path("/b"), Path("/c.toml")) == 2**63 + 1
    nodes = [{"node-id": "5", "status": "online"}, {"node-id": "6", "status": "offline"}]
    flwr_says(json.dumps({"success": True, "nodes": nodes}))
    assert connected(home) == {5}
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
    home: Home, flwr_says: Says, text: str, told: str
) -> None:
    flwr_says(text)
    with pytest.raises(InputError) as refused:
        connected(home)
    assert told in str(refused.value)
    assert "\n" not in str(refused.value)
    assert f"consilium coordinator logs {home.folder} superlink" in str(refused.value)


def test_a_coordinator_that_does_not_run_is_told(home: Home) -> None:
    with pytest.raises(InputError, match="does not run; start it by `consilium coordinator start`"):
        connected(home)
