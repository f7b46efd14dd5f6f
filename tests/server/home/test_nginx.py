"""The door to the coordinator: what nginx is told to let through, and, where there is one, what it does let through."""

import os
import re
import subprocess
from pathlib import Path

import pytest

from server.home.certificates import certificate_bytes, key_bytes, new_authority, new_server
from server.home.nginx import BODY_MEGABYTES, nginx_configuration


@pytest.fixture
def told() -> str:
    return nginx_configuration(9443, 9093, "server.pem", "ca.crt")


def locations(told: str) -> dict[str, str]:
    """Path -> what is done there; no location is within another."""
    blocks = re.split(r"\n        location ", told)[1:]
    return {block.partition(" {")[0]: block.partition(" {")[2] for block in blocks}


def test_hospitals_reach_the_fleet_and_its_health_and_nothing_else(told: str) -> None:
    """The interfaces that start runs and hand out their work would ask nobody who is calling."""
    found = locations(told)
    assert set(found) == {"/v1/fleet/", "= /health", "/"}
    assert "limit_except POST" in found["/v1/fleet/"]
    assert "limit_except GET" in found["= /health"]
    assert "return 403;" in found["/"]
    assert "proxy_pass" not in found["/"]
    passed = re.findall(r"proxy_pass (\S+);", told)
    assert passed == ["https://superlink/v1/fleet/", "https://superlink/health"]


def test_it_listens_with_tls_and_asks_the_superlink_on_loopback_for_its_certificate(told: str) -> None:
    assert re.findall(r"listen (.*);", told) == ["9443 ssl"]
    assert re.findall(r"server (\S+);", told) == ["127.0.0.1:9093"]
    assert "ssl_protocols TLSv1.2 TLSv1.3;" in told
    for setting in (
        "proxy_ssl_verify on",
        'proxy_ssl_trusted_certificate "ca.crt"',
        "proxy_ssl_name localhost",
    ):
        assert f"{setting};" in told
    assert told.count('"server.pem"') == 2, "certificate and key"


def test_no_message_is_kept_and_none_of_flowers_parts_is_too_large(told: str) -> None:
    for setting in ("access_log off", "proxy_request_buffering off", "proxy_buffering off"):
        assert f"{setting};" in told
    assert BODY_MEGABYTES > 5
    assert f"client_max_body_size {BODY_MEGABYTES}m;" in told


@pytest.mark.parametrize(("user", "named"), [(0, True), (1000, False)])
def test_workers_keep_the_right_to_the_folder(
    monkeypatch: pytest.MonkeyPatch, user: int, named: bool
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert ("user root;" in nginx_configuration(9443, 9093, "server.pem", "ca.crt")) is named


def test_nginx_takes_it_as_it_is(nginx: str, told: str, tmp_path: Path) -> None:
    authority, signer = new_authority("localhost")
    certificate, key = new_server(authority, signer, ["localhost"])
    (tmp_path / "ca.crt").write_bytes(certificate_bytes(authority))
    (tmp_path / "server.pem").write_bytes(key_bytes(key) + certificate_bytes(certificate))
    (tmp_path / "nginx.conf").write_text(told)
    command = [nginx, "-t", "-p", str(tmp_path), "-c", "nginx.conf", "-e", "stderr"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert ended.returncode == 0, ended.stderr
    assert "[warn]" not in ended.stderr
