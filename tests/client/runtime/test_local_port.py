"""A new site gets a port that can be listened on, and a site whose port is taken says so before it starts anything."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.runtime import local_port
from client.runtime.local_port import LOOPBACK, choose_port, is_free, require_free, require_usable
from client.runtime.services import start
from client.site_folder.places import Connection, Home
from common.errors import InputError, OptionError
from common.files import write_whole


@pytest.fixture
def taken() -> Iterator[int]:
    """A port that something listens on."""
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        listening.listen()
        yield int(listening.getsockname()[1])


def home_at(folder: Path, port: int) -> Home:
    home = Home(folder)
    connection = Connection(coordinator="fl.example.org:9443", port=port)
    write_whole(home.connection, connection.model_dump_json().encode())
    return home


def test_a_port_is_free_until_something_listens(taken: int) -> None:
    assert not is_free(taken)
    with socket.socket() as listening:
        listening.bind((LOOPBACK, 0))
        port = int(listening.getsockname()[1])
    assert is_free(port)


def test_the_default_is_chosen_where_it_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_port, "is_free", lambda port: True)
    assert choose_port() == local_port.DEFAULT == 9094


def test_the_next_free_port_is_chosen_where_the_default_is_taken(
    taken: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local_port, "DEFAULT", taken)
    assert taken < choose_port() < taken + local_port.TRIED


def test_where_no_port_is_free_one_must_be_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_port, "is_free", lambda port: False)
    with pytest.raises(InputError, match="--port"):
        choose_port()


@pytest.mark.parametrize("port", [-1, 0, 80, 1023, 65536, 10**9])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(OptionError):
        require_usable(port)


@pytest.mark.parametrize("port", [1024, 9094, 65535])
def test_a_port_in_range_is_taken(port: int) -> None:
    require_usable(port)


def test_a_site_whose_port_is_taken_starts_nothing(tmp_path: Path, taken: int) -> None:
    home = home_at(tmp_path, taken)
    with pytest.raises(InputError, match=f"{taken} is in use on this machine") as told:
        start(home)
    assert str(home.connection) in str(told.value)
    assert not home.state.exists()


def test_a_site_whose_port_is_free_is_let_start(tmp_path: Path, taken: int) -> None:
    require_free(home_at(tmp_path, next(port for port in range(taken + 1, 65536) if is_free(port))))
