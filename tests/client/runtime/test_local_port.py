"""A new site gets a port that can be listened on, and a site whose port is taken says so before it starts anything."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.runtime.local_port import (
    DEFAULT,
    LOOPBACK,
    TRIED,
    choose_port,
    is_free,
    require_free,
    require_usable,
)
from client.runtime.services import start
from client.site_folder.places import Connection, Home
from common.errors import MachineError, OptionError
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


def test_the_first_port_is_chosen_where_it_is_free(taken: int) -> None:
    free = next(port for port in range(taken + 1, 65536) if is_free(port))
    assert choose_port(free) == free


def test_the_search_begins_at_the_documented_port() -> None:
    assert DEFAULT == 9094
    assert DEFAULT <= choose_port() < DEFAULT + TRIED


def test_the_next_free_port_is_chosen_where_the_first_is_taken(taken: int) -> None:
    assert taken < choose_port(taken) < taken + TRIED


def test_where_no_port_is_free_one_must_be_given(taken: int) -> None:
    with pytest.raises(MachineError) as raised:
        choose_port(taken, 1)
    assert raised.value.where == "--port"


@pytest.mark.parametrize("port", [-1, 0, 80, 1023, 65536, 10**9])
def test_a_port_out_of_range_is_refused(port: int) -> None:
    with pytest.raises(OptionError):
        require_usable(port)


@pytest.mark.parametrize("port", [1024, 9094, 65535])
def test_a_port_in_range_is_taken(port: int) -> None:
    require_usable(port)


def test_a_site_whose_port_is_taken_starts_nothing(tmp_path: Path, taken: int) -> None:
    home = home_at(tmp_path, taken)
    with pytest.raises(MachineError) as raised:
        start(home)
    assert raised.value.where == f"{home.connection}, port"
    assert str(taken) in raised.value.what
    assert not home.state.exists()


def test_a_site_whose_port_is_free_is_let_start(tmp_path: Path, taken: int) -> None:
    require_free(home_at(tmp_path, next(port for port in range(taken + 1, 65536) if is_free(port))))
