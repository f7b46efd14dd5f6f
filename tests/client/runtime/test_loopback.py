import http.client
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from client.runtime.local_port import LOOPBACK
from client.runtime.loopback import Pair, make, pair_of, supernode_answers
from client.site_folder.places import Home


class Well(BaseHTTPRequestHandler):
    """Says that all is well, to everybody."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: object) -> None: ...


@contextmanager
def listening(pair: Pair | None) -> Iterator[int]:
    with HTTPServer((LOOPBACK, 0), Well) as server:
        if pair is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pair.certificate, pair.key)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path / "site")


def test_only_the_sites_own_process_is_believed(home: Home, tmp_path: Path) -> None:
    pair = make(home)
    with listening(pair) as port:
        assert supernode_answers(home, port)
    with listening(make(Home(tmp_path / "other"))) as port:
        assert not supernode_answers(home, port)
    with listening(None) as port:
        assert not supernode_answers(home, port)
    assert not supernode_answers(home, port)


def test_before_the_first_start_nobody_is_believed(home: Home) -> None:
    with listening(None) as port:
        assert not supernode_answers(home, port)


def test_each_start_has_a_key_of_its_own_for_this_user_alone(home: Home) -> None:
    first = make(home)
    before = first.key.read_bytes()
    assert make(home) == first == pair_of(home)
    assert first.key.read_bytes() != before
    assert [path.stat().st_mode & 0o777 for path in (first.key, first.certificate)] == [0o600, 0o600]


def test_the_certificate_is_for_the_loopback_address_alone(home: Home) -> None:
    pair = make(home)
    with listening(pair) as port:
        trusted = ssl.create_default_context(cafile=str(pair.certificate))
        connection = http.client.HTTPSConnection("localhost", port, context=trusted, timeout=2)
        with pytest.raises(ssl.SSLCertVerificationError):
            connection.request("GET", "/health")
        connection.close()
