"""A hospital's proxy on the loopback interface, in a thread: it passes connections on, or answers with a status."""

import base64
import os
import selectors
import socket
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest


class _Proxy(socketserver.ThreadingTCPServer):
    daemon_threads = True
    status, login = 200, ""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[str] = []


class _Handler(socketserver.StreamRequestHandler):
    server: _Proxy

    def handle(self) -> None:
        with suppress(OSError):
            self._handle()

    def _handle(self) -> None:
        target = self.rfile.readline().decode().split(" ")[1]
        headers = dict(line.decode().strip().split(": ", 1) for line in iter(self.rfile.readline, b"\r\n"))
        self.server.asked.append(target)
        wanted = f"Basic {base64.b64encode(self.server.login.encode()).decode()}"
        status = self.server.status
        if self.server.login and headers.get("Proxy-Authorization") != wanted:
            status = 407
        self.wfile.write(f"HTTP/1.1 {status} CANARY\r\nContent-Length: 0\r\n\r\n".encode())
        if status == 200:
            host, _, port = target.rpartition(":")
            with socket.create_connection((host.strip("[]"), int(port)), timeout=10) as other:
                _pass_on(self.connection, other)


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with selectors.DefaultSelector() as ready:
        ready.register(one, selectors.EVENT_READ, other)
        ready.register(other, selectors.EVENT_READ, one)
        while True:
            for key, _ in ready.select():
                assert isinstance(key.fileobj, socket.socket)
                if not (content := key.fileobj.recv(1 << 16)):
                    return
                key.data.sendall(content)


class Running:
    """A proxy that runs.

    Attributes:
        address: HOST:PORT.
        asked: addresses to which it was asked to connect.
    """

    def __init__(self, server: _Proxy) -> None:
        self.address, self.asked = f"127.0.0.1:{server.server_address[1]}", server.asked


@contextmanager
def proxy(status: int = 200, login: str = "") -> Iterator[Running]:
    """Run a proxy that answers with this status, or 407 where USER:PASSWORD is not what it is shown."""
    with _Proxy() as server:
        server.status, server.login = status, login
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield Running(server)
        finally:
            server.shutdown()
            thread.join()


def without_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Take every proxy out of the environment."""
    for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
        monkeypatch.delenv(name)
