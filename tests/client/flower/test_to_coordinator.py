"""A SuperNode's way to its coordinator: it shows its key's certificate, and takes no more than it can use."""

import importlib
import inspect
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from flwr.proto.fleet_pb2 import PullMessagesRequest
from flwr.proto.message_pb2 import PullObjectRequest, PullObjectResponse

from client.flower import to_coordinator
from client.flower.route import Proxy, Route
from client.flower.to_coordinator import (
    ANSWER_BYTES,
    CONNECTION,
    LOOP,
    OBJECT_BYTES,
    REPLACED,
    bounded_pull,
    client_class,
    guard,
    largest_request,
)
from client.site_folder.keys import new_key
from client.site_folder.places import Approval, Home
from common.files import write_whole
from common.messages.inflating import ROOM, TooLargeError
from common.node_keys import fingerprint
from server.home.certificates import new_trust_list
from tests.client.coordinator_stub import Authority, dial
from tests.client.proxy import proxy

DIRECT = Route(None)


class Handler(BaseHTTPRequestHandler):
    """Answers what the test put up."""

    def do_POST(self) -> None:
        server = self.server
        assert isinstance(server, Server)
        self.rfile.read(int(self.headers["Content-Length"]))
        server.headers = {name.lower(): value for name, value in self.headers.items()}
        self.send_response(200)
        for name, value in server.extra.items():
            self.send_header(name, value)
        self.end_headers()
        try:
            for _ in range(server.times):
                self.wfile.write(server.body)
                server.sent += len(server.body)
        except OSError:
            server.cut = True

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Server(HTTPServer):
    body, times, sent, cut = b"", 1, 0, False
    headers: dict[str, str]
    extra: dict[str, str]


@pytest.fixture
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def server(authority: Authority, key: ec.EllipticCurvePrivateKey) -> Iterator[Server]:
    """A coordinator that takes connections of this key alone."""
    server = Server(("127.0.0.1", 0), Handler)
    server.extra = {}
    context = authority.server(365)
    context.verify_mode = ssl.CERT_REQUIRED
    trusted = new_trust_list({fingerprint(key.public_key()): key.public_key()})
    context.load_verify_locations(cadata=trusted.decode())
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def client(
    server: Server, authority: Authority, key: ec.EllipticCurvePrivateKey, route: Route = DIRECT
) -> Any:
    flowers = importlib.import_module(CONNECTION).FleetHttpClient
    made = client_class(flowers, key, route)
    return made.from_server_address(
        f"127.0.0.1:{server.server_port}", False, authority.certificate.read_bytes(), []
    )


def test_the_replaced_names_have_their_parameters() -> None:
    connection, loop = importlib.import_module(CONNECTION), importlib.import_module(LOOP)
    made = inspect.signature(connection.FleetHttpClient.from_server_address)
    assert tuple(made.parameters) == REPLACED["FleetHttpClient"]
    assert tuple(inspect.signature(loop.pull_objects).parameters)[:2] == REPLACED["pull_objects"]
    assert "FleetHttpClient" in connection.http_request_response.__wrapped__.__code__.co_names
    source = inspect.getsource(loop._pull_and_store_message)
    assert source.count("pull_objects(") == 1
    assert "pull_object_fn=lambda" in source


def test_the_coordinator_sees_the_nodes_certificate(
    server: Server, authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    with client(server, authority, key) as one:
        one.PullMessages(PullMessagesRequest())
    assert server.headers["accept-encoding"] == "identity"
    other = ec.generate_private_key(ec.SECP384R1())
    with client(server, authority, other) as two, pytest.raises(httpx.TransportError):
        two.PullMessages(PullMessagesRequest())


def test_the_coordinator_is_asked_through_the_proxy_of_the_route(
    server: Server,
    authority: Authority,
    key: ec.EllipticCurvePrivateKey,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("NO_PROXY", "*")
    where = f"127.0.0.1:{server.server_port}"
    with proxy(login="site:secret") as between:
        address = f"http://site:secret@{between.address}"
        route = Route(Proxy("https_proxy", between.address, address))
        with client(server, authority, key, route) as one:
            one.PullMessages(PullMessagesRequest())
        assert between.asked == [where]
    monkeypatch.setenv("NO_PROXY", "")
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    with client(server, authority, key) as one:
        one.PullMessages(PullMessagesRequest())


def test_an_object_of_flowers_size_is_taken(
    server: Server, authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    part = PullObjectResponse(object_found=True, object_available=True, object_content=bytes(5 << 20))
    server.body = part.SerializeToString()
    with client(server, authority, key) as one:
        assert one.PullObject(PullObjectRequest()) == part


@pytest.mark.parametrize(
    ("verb", "request_", "most"),
    [
        ("PullMessages", PullMessagesRequest(), ANSWER_BYTES),
        ("PullObject", PullObjectRequest(), OBJECT_BYTES),
    ],
)
def test_an_endless_answer_is_not_read_to_its_end(
    server: Server, authority: Authority, key: ec.EllipticCurvePrivateKey, verb: str, request_: Any, most: int
) -> None:
    server.body, server.times = bytes(1 << 20), 1 << 14
    with client(server, authority, key) as one, pytest.raises(httpx.DecodingError):
        getattr(one, verb)(request_)
    assert server.sent <= most + (24 << 20), "what lies in buffers"


def test_a_compressed_answer_is_not_read(
    server: Server, authority: Authority, key: ec.EllipticCurvePrivateKey
) -> None:
    server.extra = {"Content-Encoding": "gzip"}
    with client(server, authority, key) as one, pytest.raises(httpx.DecodingError):
        one.PullMessages(PullMessagesRequest())


@pytest.fixture
def home(tmp_path: Path) -> Home:
    home = Home(tmp_path / "site")
    write_whole(home.key, new_key()[0], 0o600)
    return home


def approve(home: Home, *shape: int) -> None:
    approval = Approval(
        federation="0" * 64, version="0", at="now", weights={"a": shape}, groups={}, linear=()
    )
    write_whole(home.approval, approval.model_dump_json().encode())


def test_a_request_is_bounded_by_the_model_that_was_approved_last(home: Home) -> None:
    assert largest_request(home) == ROOM
    pull, objects = bounded_pull(home), {str(number): bytes(5 << 20) for number in range(4)}
    with pytest.raises(TooLargeError):
        pull([*objects], objects.__getitem__)
    approve(home, 1000, 2000)
    assert largest_request(home) == ROOM + 16_000_000
    assert pull(object_ids=[*objects], pull_object_fn=objects.__getitem__) == objects


def test_a_guarded_supernode_uses_both(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    connection: Any = importlib.import_module(CONNECTION)
    loop: Any = importlib.import_module(LOOP)
    monkeypatch.setattr(connection, "FleetHttpClient", connection.FleetHttpClient)
    monkeypatch.setattr(loop, "pull_objects", loop.pull_objects)
    before = connection.FleetHttpClient, loop.pull_objects
    dial(home, "fl.example.org", 9443)
    guard(home)
    assert issubclass(connection.FleetHttpClient, before[0])
    assert connection.FleetHttpClient is not before[0]
    assert loop.pull_objects.__module__ == to_coordinator.__name__
