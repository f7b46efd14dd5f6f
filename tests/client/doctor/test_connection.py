"""Faults on the way to the coordinator, told apart, with a remedy for every fault."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from client.doctor import connection
from client.doctor.finding import Check, Finding, FindingCode
from client.site_folder.keys import new_key, read_key
from client.site_folder.places import Connection, Home
from common.files import write_whole
from tests.client.coordinator_stub import Authority, dial, free_port, serving
from tests.server.services.test_door import opened


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in connection.PROXY_VARIABLES:
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def home(tmp_path: Path, authority: Authority) -> Home:
    """A site that trusts the authority."""
    home = Home(tmp_path / "site")
    write_whole(home.authority, authority.certificate.read_bytes())
    dial(home, "127.0.0.1", 9)
    return home


def one(check: Check, home: Home) -> dict[str, Finding]:
    return {finding.check: finding for finding in check(home)}


def asked(home: Home, authority: Authority, host: str = "127.0.0.1", **how: Any) -> dict[str, Finding]:
    """Findings of a site that dials a coordinator under this name."""
    with serving(authority, **how) as port:
        dial(home, host, port)
        return one(connection.coordinator, home)


def test_a_coordinator_that_does_not_answer(home: Home) -> None:
    dial(home, "127.0.0.1", free_port())
    assert one(connection.coordinator, home)["coordinator"].level == "fail"


def test_a_name_without_an_address(home: Home) -> None:
    dial(home, "no-such-host.invalid", 443)
    found = one(connection.dns, home)["dns"]
    assert (found.level, found.code) == ("fail", FindingCode.NAME_UNKNOWN)


def test_a_certificate_of_another_authority(
    home: Home, authority: Authority, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = Authority(tmp_path_factory.mktemp("other"))
    home.authority.write_bytes(other.certificate.read_bytes())
    found = asked(home, authority)["certificate"]
    assert (found.level, found.code) == ("fail", FindingCode.CERTIFICATE_REFUSED)


@pytest.mark.parametrize(
    ("enrolled", "level", "code"),
    [(True, "ok", FindingCode.OK), (False, "fail", FindingCode.NOT_ENROLLED)],
)
def test_a_coordinator_that_does_not_know_the_key(
    nginx: str, tmp_path: Path, enrolled: bool, level: str, code: FindingCode
) -> None:
    with opened(nginx, tmp_path / "coordinator") as door:
        site = Home(tmp_path / "site")
        write_whole(site.key, new_key()[0], 0o600)
        write_whole(site.authority, door.home.authority.read_bytes())
        dial(site, "localhost", door.home.settings().port)
        if enrolled:
            door.enrol(read_key(site.key))
            door.reload()
        found = one(connection.coordinator, site)["coordinator"]
    assert (found.level, found.code) == (level, code)


def test_a_certificate_for_another_name(home: Home, authority: Authority) -> None:
    found = asked(home, authority, "localhost")["certificate"]
    assert (found.level, found.code) == ("fail", FindingCode.CERTIFICATE_REFUSED)
    assert "localhost" in found.message


@pytest.mark.parametrize(("days", "level"), [(365, "ok"), (10, "warn"), (-5, "fail")])
def test_a_certificate_that_runs_out(home: Home, authority: Authority, days: int, level: str) -> None:
    found = asked(home, authority, days=days)["certificate"]
    codes = {
        "ok": FindingCode.OK,
        "warn": FindingCode.CERTIFICATE_EXPIRING,
        "fail": FindingCode.CERTIFICATE_REFUSED,
    }
    assert (found.level, found.code, bool(found.remedy)) == (level, codes[level], level != "ok")


@pytest.mark.parametrize(
    ("ahead_s", "level", "code", "word"),
    [
        (0.0, "ok", FindingCode.OK, ""),
        (20.0, "warn", FindingCode.CLOCK_OFF, "behind"),
        (-20.0, "warn", FindingCode.CLOCK_OFF, "ahead"),
        (3600.0, "fail", FindingCode.CLOCK_OFF, "behind"),
    ],
)
def test_a_clock_that_is_wrong(
    home: Home, authority: Authority, ahead_s: float, level: str, code: FindingCode, word: str
) -> None:
    found = asked(home, authority, ahead_s=ahead_s)["clock"]
    assert (found.level, found.code, word in found.message) == (level, code, True)


def test_a_proxy_is_seen_as_flower_sees_it(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    dial(home, "fl.example.org", 9443)
    assert one(connection.proxies, home)["proxy"].level == "ok"
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.intranet:8080")
    assert "proxy.intranet:8080" in one(connection.proxies, home)["proxy"].message
    assert one(connection.dns, home)["dns"].level == "ok"
    monkeypatch.setenv("NO_PROXY", "fl.example.org")
    assert "proxy.intranet" not in one(connection.proxies, home)["proxy"].message


@pytest.mark.parametrize(
    ("address", "leads_to"),
    [
        ("http://proxy.intranet:8080", ("proxy.intranet", 8080)),
        ("proxy.intranet:8080", ("proxy.intranet", 8080)),
        ("http://proxy.intranet", ("proxy.intranet", 3128)),
        ("http://CANARY:secret@proxy.intranet:8080", ("proxy.intranet", 8080)),
        ("http://", None),
        ("", None),
    ],
)
def test_a_proxys_address_may_be_written_as_flower_takes_it(
    monkeypatch: pytest.MonkeyPatch, address: str, leads_to: tuple[str, int] | None
) -> None:
    monkeypatch.setenv("https_proxy", address)
    assert connection.proxy_for(Connection(coordinator="fl.example.org:9443")) == leads_to


def test_a_proxys_password_is_not_told(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://CANARY:secret@proxy.intranet:8080")
    dial(home, "fl.example.org", 9443)
    told = " ".join(finding.message for finding in (*connection.proxies(home), *connection.dns(home)))
    assert "proxy.intranet:8080" in told
    assert "CANARY" not in told
    assert "secret" not in told


def test_a_coordinator_behind_a_proxy_is_asked_for_by_its_name(
    home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{proxy.getsockname()[1]}")
        dial(home, "fl.example.org", 9443)
        heard = []

        def refuse() -> None:
            connection, _ = proxy.accept()
            with connection:
                heard.append(connection.recv(1000))
                connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        refusing = threading.Thread(target=refuse)
        refusing.start()
        found = one(connection.coordinator, home)["coordinator"]
        refusing.join()
    assert heard[0].startswith(b"CONNECT fl.example.org:9443 ")
    assert (found.level, found.code) == ("fail", FindingCode.COORDINATOR_SILENT)


def test_what_does_not_speak_tls_is_no_coordinator(home: Home) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        dial(home, "127.0.0.1", server.getsockname()[1])

        def greet() -> None:
            connection, _ = server.accept()
            with connection:
                connection.recv(1000)
                connection.sendall(b"220 mail.example.org\r\n")

        greeting = threading.Thread(target=greet)
        greeting.start()
        found = one(connection.coordinator, home)
        greeting.join()
    assert {finding.level for finding in found.values()} == {"fail"}
    assert "mail.example.org" not in found["coordinator"].message


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_name_that_leads_somewhere(home: Home, host: str) -> None:
    dial(home, host, 9443)
    found = one(connection.dns, home)["dns"]
    assert (found.level, host in found.message) == ("ok", True)


def test_an_authority_that_runs_out_is_told_before_it_does(
    home: Home, tmp_path_factory: pytest.TempPathFactory
) -> None:
    assert one(connection.authority, home)["authority"].level == "ok"
    ending = Authority(tmp_path_factory.mktemp("ending"), days=connection.EXPIRY_WARNS_D - 1)
    home.authority.write_bytes(ending.certificate.read_bytes())
    found = one(connection.authority, home)["authority"]
    assert (found.level, found.code) == ("warn", FindingCode.CERTIFICATE_EXPIRING)


@pytest.mark.parametrize("content", [None, b"no certificate", b""])
def test_an_authority_that_cannot_be_used_is_told_with_what_to_put_there(
    home: Home, content: bytes | None
) -> None:
    home.authority.unlink()
    if content is not None:
        home.authority.write_bytes(content)
    for check, name in ((connection.authority, "authority"), (connection.coordinator, "coordinator")):
        found = one(check, home)[name]
        assert (found.level, found.code) == ("fail", FindingCode.AUTHORITY_UNUSABLE)
        assert str(home.authority) in found.message
