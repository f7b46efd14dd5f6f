"""A site's services: they dial out, listen to nobody but each other, and can start our launcher alone."""

import os
import signal
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from client.privacy.kernels import KERNELS
from client.runtime.services import LIVENESS_S, environment, inherited, services, start, state_file
from client.site_folder.places import Home
from common.errors import MachineError, MissingFileError, StateError
from common.files import write_whole
from common.processes.supervision_state import State, birth_of
from common.processes.task_launcher import TASK_COMMANDS
from tests.client.coordinator_stub import dial
from tests.client.proxy import without_proxies


def option(command: tuple[str, ...], name: str) -> str:
    return command[command.index(name) + 1]


def test_the_services_start_our_launcher_and_nothing_else(
    approved: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://me:word@proxy.intranet:3128")
    node, executor = services(approved)
    assert node.restart_delay_s == LIVENESS_S > 60
    assert option(node.command, "--isolation") == "process"
    secret = Path(option(node.command, "--superexec-auth-secret-file"))
    assert str(secret) in executor.command
    assert stat.S_IMODE(secret.stat().st_mode) == 0o600
    assert len(secret.read_bytes()) == 64
    environment = inherited(approved)
    assert environment["FLWR_HOME"].startswith(str(approved.state))
    assert environment["FLWR_TELEMETRY_ENABLED"] == "0"
    assert environment["HTTPS_PROXY"] == executor.env["HTTPS_PROXY"] == ""
    first = environment["PATH"].split(os.pathsep)[0]
    assert first == str(approved.launcher)
    assert executor.env["PATH"] == str(approved.launcher)
    assert {path.name for path in approved.launcher.iterdir()} == {*TASK_COMMANDS}
    for name in {*TASK_COMMANDS} - {"flwr-clientapp"}:
        refused = subprocess.run(
            ["/bin/sh", "-c", name], env=dict(executor.env), capture_output=True, check=False
        )
        assert (refused.returncode, refused.stderr) == (1, b"this hospital runs no such task\n")
    helped = subprocess.run(
        ["/bin/sh", "-c", "flwr-clientapp --help"],
        env=dict(executor.env),
        capture_output=True,
        text=True,
        check=True,
    )
    assert "--runtime-api-address" in helped.stdout
    assert str(approved.folder) in (approved.launcher / "flwr-clientapp").read_text()
    assert sys.executable in (approved.launcher / "flwr-clientapp").read_text()


def test_the_node_dials_out_over_tls_with_its_key_and_both_keep_to_loopback(approved: Home) -> None:
    dial(approved, "fl.example.org", 9443)
    node, executor = services(approved)
    assert option(node.command, "--superlink") == "fl.example.org:9443"
    assert option(node.command, "--root-certificates") == str(approved.authority)
    assert option(node.command, "--auth-supernode-private-key") == str(approved.key)
    for command in (node.command, executor.command):
        assert "--insecure" not in command
    assert option(executor.command, "--root-certificates") == option(node.command, "--ssl-certfile")
    local = f"{option(node.command, '--host')}:{option(node.command, '--port')}"
    assert option(executor.command, "--runtime-api-address") == local
    assert local.startswith("127.0.0.1:")
    assert f'site="{approved.folder}"' in option(node.command, "--node-config")
    assert f'federation="{approved.agreement}"' in option(node.command, "--node-config")
    assert (node.healthy is not None, executor.healthy) == (True, None)


def test_every_start_has_a_secret_of_its_own_in_a_folder_of_this_user_alone(approved: Home) -> None:
    secrets = set()
    for _ in range(2):
        node, _ = services(approved)
        secrets.add(Path(option(node.command, "--superexec-auth-secret-file")).read_bytes())
    assert len(secrets) == 2
    assert stat.S_IMODE(approved.state.stat().st_mode) == 0o700


def test_no_path_of_the_person_who_starts_it_is_searched(
    approved: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "/home/somebody/bin:/usr/bin")
    monkeypatch.setenv("PYTHONPATH", "/home/somebody/lib")
    found = environment(approved)
    assert not any("somebody" in value for value in found.values())
    assert inherited(approved)["PYTHONPATH"] == ""
    assert found.items() >= KERNELS.items()


def test_the_node_alone_is_told_the_proxy(approved: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    without_proxies(monkeypatch)
    dial(approved, "fl.example.org", 9443)
    monkeypatch.setenv("HTTPS_PROXY", "http://me:word@proxy.intranet")
    node, executor = services(approved)
    assert node.env["https_proxy"] == "http://me:word@proxy.intranet:80"
    assert "word" not in str((node.env["HTTPS_PROXY"], executor.env, node.command))
    monkeypatch.setenv("no_proxy", "example.org")
    node, _ = services(approved)
    assert "word" not in str(node.env)


def test_a_proxy_that_cannot_be_used_is_told_before_anything_starts(
    approved: Home, monkeypatch: pytest.MonkeyPatch
) -> None:
    without_proxies(monkeypatch)
    dial(approved, "fl.example.org", 9443)
    monkeypatch.setenv("ALL_PROXY", "socks5h://proxy.intranet:1080")
    with pytest.raises(MachineError) as raised:
        services(approved)
    assert raised.value.where == "ALL_PROXY"


@pytest.mark.parametrize(
    ("lacking", "command"),
    [("connection", "site init"), ("key", "site init"), ("approval", "site approve")],
)
def test_a_site_that_is_not_ready_says_what_it_lacks(approved: Home, lacking: str, command: str) -> None:
    missing: Path = getattr(approved, lacking)
    missing.unlink()
    with pytest.raises(MissingFileError) as raised:
        services(approved)
    assert raised.value.where == str(missing)
    assert command in raised.value.remedy
    assert not (approved.state / "superexec.secret").exists()


def test_a_site_starts_once(approved: Home) -> None:
    mine = os.getpid()
    state = State(pid=mine, birth=birth_of(mine) or "", services={})
    write_whole(state_file(approved), state.model_dump_json().encode())
    with pytest.raises(StateError) as raised:
        start(approved)
    assert str(mine) in raised.value.what
    assert [path.name for path in approved.state.iterdir()] == [state_file(approved).name]


def test_a_site_whose_gpu_is_not_there_does_not_start(approved: Home) -> None:
    file = approved.folder / "site.toml"
    file.write_text('device = "cuda:999"\n' + file.read_text())
    with pytest.raises(MachineError) as raised:
        start(approved, lambda *_: pytest.fail("it started"))
    assert raised.value.where == f"{file}, device"
    assert "cuda:999" in raised.value.what


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_ends_the_services(approved: Home, number: signal.Signals) -> None:
    ended: list[Path] = []

    def supervise(prepared: object, state: Path, logs: Path, stopping: threading.Event) -> None:
        assert not stopping.is_set()
        os.kill(os.getpid(), number)
        assert stopping.wait(30)
        ended.append(state)

    dial(approved, "fl.example.org", 9443)
    left = approved.residual.with_name(f".{approved.residual.name}.4711.tmp")
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a file of a process that was killed")
    before = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
    try:
        start(approved, supervise)
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    assert ended == [state_file(approved)]
    assert not left.exists()
