"""What could keep a site from taking part is found, told in a sentence and comes with a remedy."""

import datetime as dt
import ipaddress
import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from client import machine, reach
from client.approving import approve, read_proposal
from client.doctor import CHECKS, examine, findings_lines
from client.enlisting import enlist
from client.finding import Check, Finding, made
from client.home import Connection, Home, write_whole

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

DAY = dt.timedelta(days=1)


class Authority:
    """Signs certificates for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.key = folder, ec.generate_private_key(ec.SECP256R1())
        self.name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test authority")])
        extension = x509.BasicConstraints(ca=True, path_length=None)
        self.certificate = folder / "ca.crt"
        self._write(self.certificate, self._signed(self.name, self.key.public_key(), 365, extension))

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
        names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
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

    ahead = dt.timedelta()


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/health" else 404)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def date_time_string(self, timestamp: float | None = None) -> str:
        assert isinstance(self.server, Server)
        return super().date_time_string((dt.datetime.now(dt.UTC) + self.server.ahead).timestamp())

    def log_message(self, format: str, *args: Any) -> None:
        pass


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in reach._VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


Serve = Callable[..., Server]


@pytest.fixture
def serve(authority: Authority) -> Iterator[Serve]:
    running: list[Server] = []

    def start(days: int = 365, ahead_s: float = 0.0) -> Server:
        server = Server(("127.0.0.1", 0), Handler)
        server.ahead = dt.timedelta(seconds=ahead_s)
        server.socket = authority.server(days).wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        running.append(server)
        return server

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture
def home(hospital: "Hospital", authority: Authority) -> Home:
    """A site that has approved its federation."""
    home = Home(hospital.folder)
    enlist(home, "north", "127.0.0.1:9", authority.certificate)
    approve(home, read_proposal(home, hospital.folder))
    dial(home, "127.0.0.1", 9)
    return home


def dial(home: Home, host: str, port: int, local: int | None = None) -> None:
    connection = Connection(coordinator=f"{host}:{port}", port=local or free_port())
    write_whole(home.connection, connection.model_dump_json().encode())


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def levels(findings: list[Finding]) -> dict[str, str]:
    return {finding.check: finding.level for finding in findings}


def one(check: Check, home: Home) -> dict[str, Finding]:
    return {finding.check: finding for finding in check(home)}


def test_a_site_that_is_ready_has_nothing_to_mend(home: Home, serve: Serve) -> None:
    dial(home, "127.0.0.1", serve().server_port)
    findings = examine(home)
    assert {finding.check for finding in findings if finding.level == "fail"} == set()
    wanted = {
        "python",
        "torch",
        "gpu",
        "disk",
        "shared memory",
        "permissions",
        "cache",
        "launcher",
        "local port",
        "node key",
        "proxy",
    }
    wanted |= {"dns", "authority", "coordinator", "certificate", "clock", "version", "federation", "bundle"}
    assert wanted | {"data", "ledger", "receipts"} <= set(levels(findings))
    lines = findings_lines(findings)
    assert "the site can take part" in lines[-1]
    assert "CANARY" not in "\n".join(lines)
    json.dumps([finding.model_dump() for finding in findings])


def test_every_failure_has_a_remedy(home: Home) -> None:
    home.key.unlink()
    home.approval.unlink()
    (home.folder / "clinical.csv").unlink()
    findings = examine(home)
    failed = [finding for finding in findings if finding.level == "fail"]
    assert {"node key", "federation", "coordinator"} <= {finding.check for finding in failed}
    assert all(finding.remedy for finding in findings if finding.level != "ok")
    assert "before the site can take part" in findings_lines(findings)[-1]


def test_a_coordinator_that_does_not_answer(home: Home) -> None:
    dial(home, "127.0.0.1", free_port())
    assert one(reach.coordinator, home)["coordinator"].level == "fail"


def test_a_name_without_an_address(home: Home) -> None:
    dial(home, "no-such-host.invalid", 443)
    found = one(reach.name, home)["dns"]
    assert found.level == "fail"
    assert "DNS" in found.remedy


def test_a_certificate_of_another_authority(
    home: Home, serve: Serve, tmp_path_factory: pytest.TempPathFactory
) -> None:
    dial(home, "127.0.0.1", serve().server_port)
    other = Authority(tmp_path_factory.mktemp("other"))
    home.authority.write_bytes(other.certificate.read_bytes())
    assert one(reach.coordinator, home)["certificate"].level == "fail"


def test_a_certificate_for_another_name(home: Home, serve: Serve) -> None:
    dial(home, "localhost", serve().server_port)
    found = one(reach.coordinator, home)["certificate"]
    assert (found.level, "localhost" in found.told) == ("fail", True)


@pytest.mark.parametrize(("days", "level"), [(365, "ok"), (10, "warn"), (-5, "fail")])
def test_a_certificate_that_runs_out(home: Home, serve: Serve, days: int, level: str) -> None:
    dial(home, "127.0.0.1", serve(days=days).server_port)
    assert one(reach.coordinator, home)["certificate"].level == level


@pytest.mark.parametrize(
    ("ahead_s", "level", "told"),
    [(0.0, "ok", ""), (20.0, "warn", "behind"), (-20.0, "warn", "ahead of"), (3600.0, "fail", "behind")],
)
def test_a_clock_that_is_wrong(home: Home, serve: Serve, ahead_s: float, level: str, told: str) -> None:
    dial(home, "127.0.0.1", serve(ahead_s=ahead_s).server_port)
    found = one(reach.coordinator, home)["clock"]
    assert (found.level, told in found.told) == (level, True)


def test_a_proxy_is_seen_as_flower_sees_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    dial(home, "fl.example.org", 9443)
    assert one(reach.proxies, home)["proxy"].told == "none"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.intranet:8080")
    assert "through proxy.intranet:8080" in one(reach.proxies, home)["proxy"].told
    assert "looked up by the proxy" in one(reach.name, home)["dns"].told
    monkeypatch.setenv("NO_PROXY", "fl.example.org")
    assert "dialled directly" in one(reach.proxies, home)["proxy"].told


def test_another_version_than_the_one_approved(home: Home) -> None:
    approval = json.loads(home.approval.read_text())
    home.approval.write_text(json.dumps(approval | {"version": "0.0.1"}))
    assert levels(made([("federation", dict(CHECKS)["federation"])], home))["version"] == "fail"


def test_a_site_file_that_approves_another_hash(home: Home, hospital: "Hospital") -> None:
    hospital.site.site["approved"] = "0" * 64
    hospital.write()
    assert levels(made([("federation", dict(CHECKS)["federation"])], home))["federation"] == "fail"


def test_a_key_that_others_can_read(home: Home) -> None:
    home.key.chmod(0o644)
    found = one(machine.permissions, home)["node key"]
    assert (found.level, found.remedy) == ("fail", f"chmod 600 {home.key}")


def test_a_state_folder_from_which_nothing_can_be_executed(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert one(machine.noexec, home)["launcher"].level == "ok"
    mounted = SimpleNamespace(f_flag=os.ST_NOEXEC)
    monkeypatch.setattr(os, "statvfs", lambda place: mounted)
    found = one(machine.noexec, home)["launcher"]
    assert (found.level, str(home.folder) in found.told) == ("fail", True)
    assert "exec" in found.remedy


def test_a_cache_that_others_can_get_at(home: Home) -> None:
    assert one(machine.cache, home)["cache"].level == "ok"
    home.state.mkdir(mode=0o700)
    home.cache.mkdir(mode=0o700)
    kept = home.cache / "kept.safetensors"
    kept.touch(mode=0o600)
    assert one(machine.cache, home)["cache"].level == "ok"
    for place, mode in ((kept, 0o640), (home.cache, 0o750), (home.state, 0o770)):
        before = place.stat().st_mode
        place.chmod(mode)
        found = one(machine.cache, home)["cache"]
        assert (found.level, f"remove {home.cache}" in found.remedy) == ("warn", True)
        place.chmod(before)
    assert one(machine.cache, home)["cache"].level == "ok"


@pytest.mark.parametrize(
    ("devices", "cuda", "driver", "level"),
    [
        ([], None, None, "ok"),
        ([], None, "H200, 550.1", "warn"),
        ([], "12.8", "H200, 550.1", "warn"),
        (
            [{"name": "cuda:0", "model": "H200", "memory_gib": 139.0, "works": True}],
            "12.8",
            "H200, 550.1",
            "ok",
        ),
        ([{"name": "cuda:0", "works": False}], "12.8", "H200, 550.1", "fail"),
    ],
)
def test_a_gpu_must_compute_in_the_process_that_trains(
    devices: list[dict[str, Any]],
    cuda: str | None,
    driver: str | None,
    level: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(machine, "_driver", lambda: driver)
    findings = list(machine._gpus({"devices": devices, "cuda": cuda}))
    assert findings[0].level == level


def test_a_check_that_fails_is_a_finding(home: Home) -> None:
    def broken(home: Home) -> Iterator[Finding]:
        yield Finding(check="broken", level="ok", told=str(1 / int(home.folder.name == "CANARY-8371")))

    (found,) = made([("broken", broken)], home)
    assert (found.check, found.level) == ("broken", "fail")
    assert "CANARY" not in found.told
