"""A coordinator's side of TLS, as a site would meet it."""

import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from client.site_folder.places import Connection, Home
from common.files import write_whole

DAY = dt.timedelta(days=1)


class Authority:
    """Signs certificates for 127.0.0.1 and ::1."""

    def __init__(self, folder: Path, days: int = 365) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        extension = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = folder / "ca.crt"
        self._write(self.certificate, self._signed(self.name, self.key.public_key(), days, extension))

    def _signed(
        self, name: x509.Name, key: ec.EllipticCurvePublicKey, days: int, extension: x509.ExtensionType
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(self.name, name, key, x509.random_serial_number())
        builder = builder.not_valid_before(now - 400 * DAY).not_valid_after(now + days * DAY)
        return builder.add_extension(extension, critical=False).sign(self.key, hashes.SHA256())

    def _write(self, path: Path, certificate: x509.Certificate) -> None:
        path.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))

    def server(self, days: int) -> ssl.SSLContext:
        """A server's side of TLS, valid for so many days."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test server")])
        names = x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(text)) for text in ("127.0.0.1", "::1")]
        )
        self._write(self.folder / "server.crt", self._signed(subject, key.public_key(), days, names))
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        (self.folder / "server.key").write_bytes(private)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        return context


class Server(HTTPServer):
    """A coordinator that answers /health, at another time of day if asked to."""

    ahead, status = dt.timedelta(), 200


class Server6(Server):
    """Such a coordinator at an IPv6 address."""

    address_family = socket.AF_INET6


class Handler(BaseHTTPRequestHandler):
    """Answers in silence."""

    def do_GET(self) -> None:
        assert isinstance(self.server, Server)
        self.send_response(self.server.status if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        assert isinstance(self.server, Server)
        return super().date_time_string((dt.datetime.now(dt.UTC) + self.server.ahead).timestamp())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@contextmanager
def serving(
    authority: Authority,
    days: int = 365,
    ahead_s: float = 0.0,
    status: int = 200,
    listen: str = "127.0.0.1",
) -> Iterator[int]:
    """The port of a coordinator whose certificate is valid for so many days and whose clock is so far ahead."""
    server = (Server6 if ":" in listen else Server)((listen, 0), Handler)
    server.ahead, server.status = dt.timedelta(seconds=ahead_s), status
    server.socket = authority.server(days).wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield server.server_port
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def dial(home: Home, host: str, port: int) -> None:
    """Make a site dial there, with a local port that is free."""
    connection = Connection(coordinator=f"{host}:{port}", port=free_port())
    write_whole(home.connection, connection.model_dump_json().encode())


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
