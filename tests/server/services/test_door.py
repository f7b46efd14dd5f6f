"""Requests at a real nginx: those that get through, and the cost of those that do not."""

import http.client
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from client.site_folder.certificate import show_certificate
from common.node_keys import fingerprint, public_text
from server.home.places import CoordinatorHome, create_home, free_port, write_proxy
from server.participants.enrolment import Enrolment, write_enrolled
from server.services.door import write_trusted
from tests.attacks.attack_table import AttackRow

Key = ec.EllipticCurvePrivateKey
SMALL, MESSAGE, OBJECT = 16 << 10, 64 << 10, 6 << 20


class Handler(BaseHTTPRequestHandler):
    """Reads a body, counts it and answers."""

    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        assert isinstance(self.server, Behind)
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.seen.append((self.path, len(body)))
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_POST = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


class Behind(ThreadingHTTPServer):
    """Stands where the SuperLink would."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, home: CoordinatorHome) -> None:
        super().__init__(("127.0.0.1", home.settings().internal_port), Handler)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(home.certificate)
        self.socket = context.wrap_socket(self.socket, server_side=True)
        self.seen: list[tuple[str, int]] = []

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a connection that nginx gives up."""


class Door:
    """A coordinator's nginx in front of a stand-in.

    Attributes:
        home: the coordinator's folder.
        behind: the stand-in.
        process: nginx.
    """

    def __init__(self, home: CoordinatorHome, behind: Behind, process: "subprocess.Popen[bytes]") -> None:
        self.home, self.behind, self.process = home, behind, process

    def enrol(self, *keys: Key) -> None:
        """Let in these keys and no other."""
        text = [public_text(key.public_key()).decode() for key in keys]
        prints = [fingerprint(key.public_key()) for key in keys]
        enrolled = {
            f"hospital {number}": Enrolment(
                fingerprint=prints[number], node_id=number, since="now", public_key=text[number]
            )
            for number in range(len(keys))
        }
        write_enrolled(self.home.enrolled, enrolled)
        write_trusted(self.home)

    def reload(self) -> None:
        """Have nginx read the keys again, and wait until its former worker takes nobody in."""
        before = self.workers()
        self.process.send_signal(signal.SIGHUP)
        waited(lambda: bool(self.workers()) and not before & self.workers())

    def workers(self) -> set[int]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        return {int(child) for child in children}

    def memory(self) -> int:
        """Most bytes that the worker ever had."""
        (worker,) = self.workers()
        (line,) = (
            line for line in Path(f"/proc/{worker}/status").read_text().splitlines() if "VmHWM" in line
        )
        return int(line.split()[1]) << 10

    def context(self, key: Key | None = None) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.home.authority))
        if key is not None:
            show_certificate(context, key)
        return context

    def ask(
        self, path: str, key: Key | None = None, body: bytes = b"", method: str = "POST", context: Any = None
    ) -> int:
        """Status of a request."""
        context = context or self.context(key)
        connection = http.client.HTTPSConnection(
            "localhost", self.home.settings().port, context=context, timeout=20
        )
        try:
            connection.request(method, path, body)
            return connection.getresponse().status
        except (BrokenPipeError, ConnectionResetError):  # it stopped reading, and has said why
            return connection.getresponse().status
        finally:
            connection.close()

    def dial(self, context: ssl.SSLContext, host: str = "localhost") -> ssl.SSLSocket:
        """A connection on which nothing was said."""
        connection = socket.create_connection((host, self.home.settings().port), timeout=20)
        return context.wrap_socket(connection, server_hostname="localhost")


def waited(condition: Callable[[], bool]) -> None:
    end = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@contextmanager
def opened(nginx: str, folder: Path) -> Iterator[Door]:
    home = create_home(folder, "localhost", free_port(), None)
    write_proxy(home, home.settings())
    write_trusted(home)
    behind = Behind(home)
    threading.Thread(target=behind.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    command = [nginx, "-p", str(home.proxy), "-c", "nginx.conf", "-e", "stderr"]
    with (folder / "nginx.log").open("wb") as log:
        process = subprocess.Popen(command, stderr=log)
    door = Door(home, behind, process)
    try:
        waited(lambda: is_open(home))
        yield door
    finally:
        process.terminate()
        process.wait(20)
        behind.shutdown()
        behind.server_close()


def is_open(home: CoordinatorHome) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", home.settings().port)) == 0


@pytest.fixture(scope="module")
def hospital() -> Key:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture(scope="module")
def other() -> Key:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture(scope="module")
def shared(nginx: str, tmp_path_factory: pytest.TempPathFactory, hospital: Key) -> Iterator[Door]:
    with opened(nginx, tmp_path_factory.mktemp("door") / "home") as door:
        door.enrol(hospital)
        door.reload()
        yield door


@pytest.fixture
def door(shared: Door) -> Door:
    shared.behind.seen.clear()
    return shared


def test_an_enrolled_key_gets_through(door: Door, hospital: Key) -> None:
    assert door.ask("/v1/fleet/pull-messages", hospital, b"12345") == 200
    assert door.behind.seen == [("/v1/fleet/pull-messages", 5)]
    assert door.ask("/v1/fleet/pull-messages", hospital, method="GET") == 403


@pytest.mark.parametrize("address", ["127.0.0.1", "::1"])
def test_it_is_open_by_both_internet_protocols(door: Door, ipv6: None, address: str) -> None:
    with door.dial(door.context(), address) as connection:
        connection.sendall(b"GET /health HTTP/1.0\r\n\r\n")
        assert connection.recv(100).startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("path", ["push-messages", "push-object", "activate-node", "register-node"])
def test_nobody_without_a_certificate_gets_through(door: Door, path: str) -> None:
    assert door.ask(f"/v1/fleet/{path}", body=b"1") == 403
    assert door.behind.seen == []


def test_a_key_that_is_not_enrolled_gets_through_nowhere(door: Door, other: Key) -> None:
    assert door.ask("/v1/fleet/push-messages", other) == 400
    assert door.ask("/health", other, method="GET") == 400
    assert door.behind.seen == []


def test_a_certificate_in_the_name_of_an_enrolled_key_needs_that_key(
    door: Door, hospital: Key, other: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = fingerprint(hospital.public_key())
    monkeypatch.setattr("client.site_folder.certificate.fingerprint", lambda _: named)
    context = door.context(other)
    monkeypatch.undo()
    assert door.ask("/v1/fleet/push-messages", context=context) == 400
    assert door.behind.seen == []


def test_the_coordinators_certificate_opens_nothing(door: Door) -> None:
    context = door.context()
    context.load_cert_chain(door.home.certificate)
    assert door.ask("/v1/fleet/push-messages", context=context) == 400


def test_health_is_open_to_those_who_trust_the_authority_and_takes_no_body(door: Door) -> None:
    assert door.ask("/health", method="GET") == 200
    assert door.ask("/health", body=b"12345", method="GET") == 413
    assert door.behind.seen == [("/health", 0)]


def test_a_key_that_is_withdrawn_is_out_after_a_reload(
    nginx: str, tmp_path: Path, hospital: Key, other: Key
) -> None:
    with opened(nginx, tmp_path / "home") as door:
        door.enrol(hospital, other)
        door.reload()
        context = door.context(hospital)
        assert door.ask("/v1/fleet/get-run", context=context) == 200
        door.enrol(other)
        door.reload()
        assert door.ask("/v1/fleet/get-run", context=context) == 400
        assert door.ask("/v1/fleet/get-run", other) == 200


@pytest.mark.parametrize(
    ("path", "most"), [("pull-messages", SMALL), ("push-messages", MESSAGE), ("push-object", OBJECT)]
)
def test_a_body_is_as_large_as_its_path_needs(door: Door, hospital: Key, path: str, most: int) -> None:
    assert door.ask(f"/v1/fleet/{path}", hospital, bytes(most)) == 200
    assert door.ask(f"/v1/fleet/{path}", hospital, bytes(most + 1)) == 413
    assert door.behind.seen == [(f"/v1/fleet/{path}", most)]
    left = [file for name in ("body", "proxy") for file in (door.home.proxy / name).rglob("*")]
    assert not [file for file in left if file.is_file()], "a body was on the disk"


def test_hospitals_behind_one_address_ask_at_once(door: Door, hospital: Key) -> None:
    """21 of them with four requests each; a burst is slowed down, and nobody is turned away."""
    keys = [hospital, *(ec.generate_private_key(ec.SECP384R1()) for _ in range(20))]
    door.enrol(*keys)
    door.reload()
    answers: list[int] = []

    def ask(context: ssl.SSLContext) -> None:
        answers.extend(door.ask("/v1/fleet/pull-messages", context=context) for _ in range(3))

    threads = [
        threading.Thread(target=ask, args=(context,)) for context in map(door.context, keys) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [200] * 252


@pytest.mark.attack
def test_a_strangers_large_bodies_cost_nothing(door: Door, attack_row: AttackRow) -> None:
    body = bytes(16 << 20)
    door.ask("/v1/fleet/push-messages", body=b"1")
    before = door.memory()
    statuses = [door.ask("/v1/fleet/push-messages", body=body) for _ in range(2)]
    grown = door.memory() - before
    attack_row("POST of 16 MB by a stranger, nginx", "< 1 MB", f"{grown / 1e6:.2f} MB")
    assert statuses == [413, 413]
    assert door.behind.seen == []
    assert grown < 1e6


@pytest.mark.attack
@pytest.mark.slow
def test_slow_bodies_of_one_address_keep_no_hospital_out(
    door: Door, hospital: Key, attack_row: AttackRow
) -> None:
    request = (
        b"POST /v1/fleet/push-messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 15000000\r\n\r\n\x12"
    )
    context, slow = door.context(), 510
    with ExitStack() as stack:
        for _ in range(slow):
            connection = stack.enter_context(door.dial(context))
            connection.sendall(request)
        began = time.monotonic()
        assert door.ask("/v1/fleet/pull-messages", hospital, b"12345") == 200
        took = time.monotonic() - began
    log = (door.home.folder / "nginx.log").read_text()
    attack_row(f"{slow} slow bodies of one address", "a hospital in < 2 s", f"{took:.2f} s")
    assert door.behind.seen == [("/v1/fleet/pull-messages", 5)]
    assert "worker_connections are not enough" not in log
    assert took < 2


def test_silent_connections_keep_no_hospital_out(door: Door, hospital: Key) -> None:
    with ExitStack() as stack:
        for _ in range(600):
            stack.enter_context(socket.create_connection(("localhost", door.home.settings().port)))
        assert door.ask("/v1/fleet/pull-messages", hospital) == 200


def test_a_strangers_requests_for_health_are_limited(door: Door, hospital: Key) -> None:
    statuses = [door.ask("/health", method="GET") for _ in range(120)]
    assert {200, 503} == set(statuses)
    assert door.ask("/v1/fleet/pull-messages", hospital) == 200
    assert door.ask("/health", hospital, method="GET") == 200
