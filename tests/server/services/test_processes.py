import os
import shutil
import socket
import stat
from pathlib import Path

import pytest
import tomli_w

from common.errors import InvalidContentError, MachineError, MissingFileError, StateError
from server.home.certificates import certificate_bytes, key_bytes, new_server, read_certificate, read_signer
from server.home.nginx import TRUSTED
from server.home.places import HOME_VARIABLE, SETTINGS, CoordinatorHome, create_home
from server.services.processes import CONNECTION, environment, is_healthy, prepare, start


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    """A home at a path whose characters mean something to shells and to nginx."""
    return create_home(tmp_path / "a $home; with spaces", "localhost", 9443, None)


def option(command: tuple[str, ...], name: str) -> str:
    return command[command.index(name) + 1]


@pytest.mark.usefixtures("nginx")
def test_the_superlink_is_on_loopback_asks_for_keys_and_leaves_work_to_others(home: CoordinatorHome) -> None:
    superlink, superexec, proxy = (service.command for service in prepare(home))
    assert option(superlink, "--host") == "127.0.0.1"
    assert option(superlink, "--isolation") == "process"
    assert {"--enable-supernode-auth", "--disable-runtime-dependency-installation"} <= set(superlink)
    assert "--insecure" not in superlink + superexec
    assert "--allow-runtime-dependency-installation" not in superexec
    secret = option(superlink, "--superexec-auth-secret-file")
    assert secret == option(superexec, "--superexec-auth-secret-file") == str(home.superexec_secret)
    assert option(proxy, "-p") == str(home.proxy)


@pytest.mark.usefixtures("nginx")
def test_flower_keeps_to_the_home_and_phones_nobody(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", "socks5://me:word@proxy")
    env = environment(home)
    assert env["FLWR_HOME"].startswith(str(home.folder))
    assert (env["FLWR_TELEMETRY_ENABLED"], env["FLWR_DISABLE_UPDATE_CHECK"]) == ("0", "1")
    assert env["https_proxy"] == ""
    prepare(home)
    connections = (home.flower / "config.toml").read_text()
    assert f"[superlink.{CONNECTION}]" in connections
    assert f"127.0.0.1:{home.settings().internal_port}" in connections


@pytest.mark.usefixtures("nginx")
def test_the_processes_that_look_for_a_runs_folder_are_told_where_it_is(home: CoordinatorHome) -> None:
    superlink, superexec, proxy = (service.env for service in prepare(home))
    assert superexec[HOME_VARIABLE] == superlink[HOME_VARIABLE] == str(home.folder)
    assert HOME_VARIABLE not in proxy


def test_a_certificate_that_has_ended_or_is_missing_is_told_before_anything_starts(
    home: CoordinatorHome,
) -> None:
    authority, signer = (
        read_certificate(home.authority, "make it"),
        read_signer(home.authority_key),
    )
    old, key = new_server(authority, signer, ["localhost"], years=0)
    home.certificate.write_bytes(key_bytes(key) + certificate_bytes(old))
    with pytest.raises(StateError) as ended:
        prepare(home)
    home.certificate.unlink()
    with pytest.raises(MissingFileError) as missing:
        prepare(home)
    for error in (ended.value, missing.value):
        assert error.where == str(home.certificate)
        assert "consilium coordinator renew" in error.remedy


@pytest.mark.usefixtures("nginx")
def test_the_proxy_follows_the_settings(home: CoordinatorHome) -> None:
    settings = home.settings().model_copy(update={"port": 10443, "internal_port": 10444})
    (home.folder / SETTINGS).write_text(tomli_w.dumps(settings.model_dump()))
    prepare(home)
    told = (home.proxy / "nginx.conf").read_text()
    assert "listen 10443 ssl;" in told
    assert "server 127.0.0.1:10444;" in told
    assert (home.proxy / TRUSTED).is_file()


@pytest.mark.parametrize(
    ("key", "host"), [("port", "127.0.0.1"), ("port", "::1"), ("internal_port", "127.0.0.1")]
)
@pytest.mark.usefixtures("ipv6")
def test_a_port_in_use_is_told_before_anything_starts(home: CoordinatorHome, key: str, host: str) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, 0), family=family) as taken:
        settings = home.settings().model_copy(update={key: taken.getsockname()[1]})
        (home.folder / SETTINGS).write_text(tomli_w.dumps(settings.model_dump()))
        with pytest.raises(MachineError) as refused:
            start(home, lambda: None)
        assert refused.value.where == f"{home.folder / SETTINGS}, {key}"
        assert str(taken.getsockname()[1]) in refused.value.what
    assert list(home.logs.iterdir()) == []


def test_a_missing_nginx_is_told(home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)
    with pytest.raises(MachineError) as refused:
        prepare(home)
    assert refused.value.where == "nginx"


def test_a_configuration_that_nginx_rejects_is_told(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    fake = tmp_path / "nginx"
    fake.write_text("#!/bin/sh\necho 'nginx: [emerg] no such directive' >&2\nexit 1\n")
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    monkeypatch.setattr(shutil, "which", lambda *_, **__: os.fspath(fake))
    with pytest.raises(InvalidContentError) as refused:
        prepare(home)
    assert refused.value.where == str(home.proxy / "nginx.conf")
    assert "no such directive" in refused.value.what, "nginx's own words"


def test_nobody_answers_where_nobody_listens(home: CoordinatorHome) -> None:
    assert not is_healthy(home, home.settings().internal_port)
