"""Faults on the way to the coordinator, told apart, with a remedy for every fault."""

import socket
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from client.doctor import connection
from client.doctor.finding import Check, Finding, FindingCode, run_checks
from client.flower import route
from client.runtime.services import state_file
from client.site_folder.keys import new_key, read_key
from client.site_folder.places import Home
from common.errors import InputCode
from common.files import write_whole
from common.processes.supervision_state import State, birth_of
from tests.client.coordinator_stub import Authority, dial, free_port, serving
from tests.client.proxy import proxy, without_proxies
from tests.server.services.test_door import opened


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)


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


def test_the_proxy_is_told_and_looks_names_up(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    dial(home, "fl.example.org", 9443)
    assert one(connection.proxies, home)["proxy"].level == "ok"
    monkeypatch.setenv("HTTPS_PROXY", "http://CANARY:secret@proxy.intranet:8080")
    found = {**one(connection.proxies, home), **one(connection.dns, home)}
    assert {finding.level for finding in found.values()} == {"ok"}
    assert "proxy.intranet:8080" in found["proxy"].message
    assert "HTTPS_PROXY" in found["proxy"].message
    assert not any(word in found["proxy"].message for word in ("CANARY", "secret"))
    monkeypatch.setenv("no_proxy", "fl.example.org")
    told = one(connection.proxies, home)["proxy"].message
    assert "proxy.intranet" not in told
    assert "HTTPS_PROXY" in told


def test_a_proxy_that_the_service_would_not_start_with_is_told_once(
    home: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    dial(home, "fl.example.org", 9443)
    monkeypatch.setenv("ALL_PROXY", "socks5://proxy.intranet:1080")
    checks = [("proxy", connection.proxies), ("dns", connection.dns), ("coordinator", connection.coordinator)]
    (found,) = run_checks(checks, home)
    assert (found.check, found.level, found.code) == ("proxy", "fail", InputCode.MACHINE_UNFIT)


@pytest.mark.parametrize(
    ("status", "word"),
    [(403, "443"), (405, "443"), (407, "PASSWORD"), (502, "runs"), (504, "runs"), (999, "runs")],
)
def test_what_a_proxy_answers_is_told_with_its_remedy(
    home: Home, monkeypatch: pytest.MonkeyPatch, status: int, word: str
) -> None:
    with proxy(status) as between:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{between.address}")
        dial(home, "fl.example.org", 9443)
        (found,) = connection.coordinator(home)
    assert between.asked == ["fl.example.org:9443"]
    assert (found.check, found.level, found.code) == ("coordinator", "fail", FindingCode.PROXY_REFUSES)
    assert f"{between.address} answers {status}" in found.message
    assert word in found.remedy
    assert "CANARY" not in found.message, "the words of the other side"


def test_a_proxy_that_does_not_take_an_ipv6_address(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    with proxy(400) as between:
        monkeypatch.setenv("HTTPS_PROXY", f"http://{between.address}")
        dial(home, "[2001:db8::1]", 9443)
        (found,) = connection.coordinator(home)
    assert found.code == FindingCode.PROXY_REFUSES
    assert "name" in found.remedy


def test_a_proxy_that_is_not_there_is_not_taken_for_the_coordinator(
    home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = f"127.0.0.1:{free_port()}"
    monkeypatch.setenv("HTTPS_PROXY", absent)
    dial(home, "fl.example.org", 9443)
    (found,) = connection.coordinator(home)
    assert (found.level, found.code) == ("fail", FindingCode.PROXY_SILENT)
    assert absent in found.message
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")
    assert asked(home, authority)["coordinator"].level == "ok"


def test_a_coordinator_is_asked_through_a_proxy_that_wants_a_password(
    home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    with proxy(login="site:secret") as between, serving(authority) as port:
        monkeypatch.setattr(route, "OWN_MACHINE", ())
        dial(home, "127.0.0.1", port)
        monkeypatch.setenv("HTTPS_PROXY", f"http://{between.address}")
        assert one(connection.coordinator, home)["coordinator"].code == FindingCode.PROXY_REFUSES
        monkeypatch.setenv("https_proxy", f"http://site:secret@{between.address}")
        assert one(connection.coordinator, home)["coordinator"].level == "ok"
        assert between.asked == [f"127.0.0.1:{port}"] * 2


def test_a_coordinator_that_a_proxy_leads_to_and_that_does_not_answer(
    home: Home,
    authority: Authority,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    other = Authority(tmp_path_factory.mktemp("other"))
    monkeypatch.setattr(route, "OWN_MACHINE", ())
    with proxy() as between, serving(other) as port:
        monkeypatch.setenv("HTTPS_PROXY", between.address)
        dial(home, "127.0.0.1", port)
        found = one(connection.coordinator, home)
    assert found["certificate"].code == FindingCode.CERTIFICATE_REFUSED


def test_a_running_service_is_asked_for_its_proxy_instead_of_this_terminal(
    home: Home, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The environment of systemd's unit is rarely that of the person who runs the doctor."""
    program = "import sys; print(flush=True); sys.stdin.read()"
    variables = {"https_proxy": "http://proxy.intranet:1"}
    with subprocess.Popen(
        [sys.executable, "-c", program], env=variables, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as service:
        assert service.stdout is not None
        service.stdout.readline()
        state = State(pid=service.pid, birth=birth_of(service.pid) or "")
        write_whole(state_file(home), state.model_dump_json().encode())
        monkeypatch.setenv("https_proxy", "http://terminal.intranet:1")
        dial(home, "fl.example.org", 9443)
        assert "proxy.intranet:1" in one(connection.proxies, home)["proxy"].message
        service.communicate()
    assert "terminal.intranet:1" in one(connection.proxies, home)["proxy"].message


@pytest.mark.parametrize("status", [403, 404, 500, 502, 503])
def test_a_coordinator_that_takes_no_requests(home: Home, authority: Authority, status: int) -> None:
    found = asked(home, authority, status=status)["coordinator"]
    assert (found.level, found.code) == ("fail", FindingCode.COORDINATOR_UNWELL)
    assert str(status) in found.message


def test_a_coordinator_at_an_ipv6_address(home: Home, authority: Authority, ipv6: None) -> None:
    assert asked(home, authority, "[::1]", listen="::1")["coordinator"].level == "ok"
    assert "::1" in one(connection.dns, home)["dns"].message


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
