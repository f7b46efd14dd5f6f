"""The door to the coordinator: what nginx is told to let through, and, where there is one, what it does let through."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from server.home.certificates import certificate_bytes, key_bytes, new_authority, new_server, new_trust_list
from server.home.nginx import MESSAGE_BODY, SMALL_PATHS, TRUSTED, nginx_configuration
from server.home.places import speaks_ipv6


@pytest.fixture
def told() -> str:
    return nginx_configuration(9443, 9093, "server.pem", "ca.crt", speaks_ipv6())


def locations(told: str) -> dict[str, str]:
    """Path -> what is done there; no location is within another."""
    blocks = re.split(r"\n        location ", told)[1:]
    return {block.partition(" {")[0]: block.partition(" {")[2] for block in blocks}


def test_hospitals_reach_their_paths_of_the_fleet_and_its_health_and_nothing_else(told: str) -> None:
    """The interfaces that start runs and hand out their work would ask nobody who is calling."""
    found = locations(told)
    fleet = {path for path in found if "/v1/" in path}
    assert fleet == {f"= /v1/fleet/{path}" for path in (*SMALL_PATHS, "push-messages", "push-object")}
    assert set(found) == {*fleet, "= /health", "/"}
    for path in fleet:
        assert "limit_except POST" in found[path]
        assert found[path].index("return 403;") < found[path].index("proxy_pass")
        assert f"proxy_pass https://superlink{path[2:]};" in found[path]
    assert "limit_except GET" in found["= /health"]
    assert "return 403;" in found["/"]
    assert "proxy_pass" not in found["/"]


def test_it_listens_with_tls_and_asks_the_superlink_on_loopback_for_its_certificate(told: str) -> None:
    assert re.findall(r"listen (.*);", told)[0] == "9443 ssl"
    assert re.findall(r"server (\S+);", told) == ["127.0.0.1:9093"]
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in told
    for setting in (
        "proxy_ssl_verify on",
        'proxy_ssl_trusted_certificate "ca.crt"',
        "proxy_ssl_name localhost",
    ):
        assert f"{setting};" in told
    assert told.count('"server.pem"') == 2, "certificate and key"


@pytest.mark.parametrize(("ipv6", "also"), [(True, ["[::]:9443 ssl ipv6only=on"]), (False, [])])
def test_it_listens_at_ipv6_addresses_where_there_are_any(ipv6: bool, also: list[str]) -> None:
    told = nginx_configuration(9443, 9093, "server.pem", "ca.crt", ipv6)
    assert re.findall(r"listen (.*);", told) == ["9443 ssl", *also]


def test_no_message_is_kept_and_none_of_flowers_parts_is_too_large(told: str) -> None:
    found = locations(told)
    for setting in ("access_log off", "proxy_buffering off"):
        assert f"{setting};" in told
    assert "proxy_request_buffering off;" in found["= /v1/fleet/push-object"]
    assert "client_max_body_size 6m;" in found["= /v1/fleet/push-object"]
    assert found["= /v1/fleet/push-messages"].count(f"client_max_body_size {MESSAGE_BODY};") == 1
    assert f"client_body_buffer_size {MESSAGE_BODY};" in told, "a body that is read whole is never on a disk"


@pytest.mark.parametrize(("user", "named"), [(0, True), (1000, False)])
def test_workers_keep_the_right_to_the_folder(
    monkeypatch: pytest.MonkeyPatch, user: int, named: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("user root;" in nginx_configuration(9443, 9093, "server.pem", "ca.crt", True)) is named


def test_nginx_takes_it_as_it_is(nginx: str, told: str, tmp_path: Path) -> None:
    authority, signer = new_authority("localhost")
    certificate, key = new_server(authority, signer, ["localhost"])
    (tmp_path / "ca.crt").write_bytes(certificate_bytes(authority))
    (tmp_path / "server.pem").write_bytes(key_bytes(key) + certificate_bytes(certificate))
    (tmp_path / TRUSTED).write_bytes(new_trust_list({}))
    (tmp_path / "nginx.conf").write_text(told)
    command = [nginx, "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "[warn]" not in ended.stderr
