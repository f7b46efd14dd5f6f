"""Where a site keeps what, and that what it keeps is read whole, written whole, and open to nobody else."""

import json
import os
import stat
from pathlib import Path

import pytest
from pydantic import ValidationError

from client.site_folder.places import Connection, Home, read_approval, read_connection
from common.errors import InputError
from common.files import is_private, read_private, write_whole


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
}


def test_what_was_kept_is_read_again(home: Home) -> None:
    write_whole(home.approval, json.dumps(APPROVAL).encode())
    write_whole(home.connection, b'{"coordinator": "fl.example.org:9443", "port": 9100}')
    assert read_approval(home).weights == {"a": (2, 3)}
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
    with pytest.raises(
        InputError, match=r"approval\.json, .*; run `consilium site approve` first\."
    ) as raised:
        read_approval(home)
    assert "\n" not in str(raised.value)
    assert "CANARY" not in str(raised.value)


def test_a_missing_file_says_what_makes_it(home: Home) -> None:
    with pytest.raises(
        InputError, match=r"connection\.json: there is no such file; run `consilium site init`"
    ):
        read_connection(home)
    with pytest.raises(
        InputError, match=r"approval\.json: there is no such file; run `consilium site approve`"
    ):
        read_approval(home)


def test_a_file_is_written_with_its_mode_and_nothing_beside_it(home: Home) -> None:
    write_whole(home.key, b"first", 0o600)
    write_whole(home.key, b"second", 0o600)
    assert home.key.read_bytes() == b"second"
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600
    assert list(home.key.parent.iterdir()) == [home.key]


def test_a_write_that_fails_leaves_what_was_there(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    write_whole(home.approval, b"first")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_whole(home.approval, b"second")
    assert home.approval.read_bytes() == b"first"


def test_private_is_what_this_user_alone_can_reach(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "kept"
    place.mkdir(mode=0o700)
    assert is_private(place)
    link = tmp_path / "link"
    link.symlink_to(place)
    assert not is_private(link), "whoever made the link may point it elsewhere"
    for mode in (0o710, 0o704, 0o720, 0o702):
        place.chmod(mode)
        assert not is_private(place), oct(mode)
    place.chmod(0o700)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert not is_private(place)


def test_a_private_file_is_read_and_no_other(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place, link = tmp_path / "kept", tmp_path / "link"
    write_whole(place, b"CANARY-8371", 0o600)
    link.symlink_to(place)
    assert read_private(place) == b"CANARY-8371"
    with pytest.raises(OSError, match="symbolic link"):
        read_private(link)
    with pytest.raises(FileNotFoundError):
        read_private(tmp_path / "nothing")
    for mode in (0o640, 0o604, 0o620, 0o602):
        place.chmod(mode)
        assert read_private(place) is None, oct(mode)
    place.chmod(0o600)
    stranger = os.geteuid() + 1
    monkeypatch.setattr(os, "geteuid", lambda: stranger)
    assert read_private(place) is None
