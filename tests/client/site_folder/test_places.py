"""Paths of a site, whose files are read whole, written whole, and open to nobody else."""

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from client.site_folder.places import Connection, Home, read_approval, read_connection
from common.errors import InvalidContentError, MissingFileError
from common.files import write_whole
from common.models.parameter_groups import ModelGroups, ParameterGroup


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "site")


def test_everything_of_a_site_is_in_its_folder_and_what_runs_in_its_state(home: Home) -> None:
    places = (home.key, home.public_key, home.authority, home.connection, home.agreement, home.approval)
    running = (home.cache, home.logs, home.launcher)
    assert len({*places, home.receipts, *running}) == 10
    assert all(place.is_relative_to(home.folder) for place in (*places, home.receipts))
    assert all(place.is_relative_to(home.state) for place in running)
    assert home.approval.parent == home.agreement.parent, "approved and kept as one"


@pytest.mark.parametrize(
    ("coordinator", "host", "port"),
    [
        ("fl.example.org:9443", "fl.example.org", 9443),
        ("10.0.0.7:80", "10.0.0.7", 80),
        ("[2001:db8::1]:9443", "2001:db8::1", 9443),
    ],
)
def test_a_coordinator_has_a_host_and_a_port(coordinator: str, host: str, port: int) -> None:
    connection = Connection(coordinator=coordinator)
    assert (connection.host, connection.coordinator_port) == (host, port)


@pytest.mark.parametrize(
    "coordinator",
    [
        "fl.example.org",
        "fl.example.org:",
        ":9443",
        "https://fl.example.org:9443",
        "2001:db8::1:9443",
        "a b:1",
        "a:1\n",
        "a:70000",
        "0.0.0.0:9443",
        "256.1.1.1:9443",
    ],
)
def test_what_names_no_coordinator_is_refused(coordinator: str) -> None:
    with pytest.raises(ValidationError):
        Connection(coordinator=coordinator)


APPROVAL = {
    "federation": "0" * 64,
    "version": "0.1.0",
    "at": "2026-11-21T12:00:00+00:00",
    "weights": {"a": [2, 3]},
    "groups": {"patients": {"modality": None, "task": None, "parameters": ["a"]}},
    "linear": ["a"],
}


def test_what_was_kept_is_read_again(home: Home) -> None:
    write_whole(home.approval, json.dumps(APPROVAL).encode())
    write_whole(home.connection, b'{"coordinator": "fl.example.org:9443", "port": 9100}')
    approval = read_approval(home)
    assert approval.weights == {"a": (2, 3)}
    assert approval.model_groups == ModelGroups({"a": ParameterGroup.SHARED}, frozenset({"a"}))
    assert read_connection(home) == Connection(coordinator="fl.example.org:9443", port=9100)


@pytest.mark.parametrize(
    "content",
    [
        b"{}",
        b"CANARY-8371",
        b"\xff\xfe",
        json.dumps(APPROVAL | {"federation": "CANARY-8371"}).encode(),
        json.dumps(APPROVAL | {"weights": {"a": ["CANARY-8371"]}}).encode(),
        json.dumps(APPROVAL | {"note": "CANARY-8371"}).encode(),
    ],
)
def test_a_spoilt_file_is_named_and_not_quoted(home: Home, content: bytes) -> None:
    write_whole(home.approval, content)
    with pytest.raises(InvalidContentError) as raised:
        read_approval(home)
    assert raised.value.where.startswith(f"{home.approval}, ")
    assert "consilium site approve" in raised.value.remedy
    assert "\n" not in str(raised.value)
    assert "CANARY" not in str(raised.value)


def test_a_missing_file_says_what_makes_it(home: Home) -> None:
    with pytest.raises(MissingFileError) as connection:
        read_connection(home)
    assert connection.value.where == str(home.connection)
    assert "consilium site init" in connection.value.remedy
    with pytest.raises(MissingFileError) as approval:
        read_approval(home)
    assert approval.value.where == str(home.approval)
    assert "consilium site approve" in approval.value.remedy
