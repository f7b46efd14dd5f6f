"""The coordinator as it runs: real processes, TLS on loopback, and nothing left of them afterwards."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.federation import FILE_NAME, load, save
from common.supervision_state import birth_of, read_state
from server.app import server_app
from server.home import Home, free_port, open_home
from server.journal import RoundRecord, read_journal
from server.result import load_result
from server.services import environment
from simulations.arms import CLIENT_APP, read_trained
from simulations.engine import run_federation

pytestmark = pytest.mark.usefixtures("nginx")
SmallCohort = Callable[..., Path]
DEADLINE_S = 60
CONSILIUM = str(Path(sys.executable).with_name("consilium"))


def until(condition: Callable[[], bool], what: str) -> None:
    end = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < end, what
        time.sleep(0.1)


def consilium(*arguments: object, code: int = 0) -> str:
    """A command's output, standard error included."""
    command = [CONSILIUM, *map(str, arguments)]
    ended = subprocess.run(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=600, check=False
    )
    assert ended.returncode == code, ended.stdout
    return ended.stdout


def processes_of(folder: Path) -> list[int]:
    """Processes whose command line, or environment, names this folder."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            told = (entry / "cmdline").read_bytes() + (entry / "environ").read_bytes()
        except OSError:  # it has ended, or is somebody else's
            continue
        if os.fsencode(folder) + b"/" in told:
            found.append(int(entry.name))
    return found


@contextmanager
def process(*command: object, log: Path, **env: str) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that leads a group, which is ended with it."""
    with log.open("wb") as output:
        started = subprocess.Popen(
            [str(part) for part in command],
            env={**os.environ, **env},
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield started
    finally:
        for number in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError, subprocess.TimeoutExpired):
                os.killpg(started.pid, number)
                started.wait(DEADLINE_S)
        started.wait()


@contextmanager
def coordinator(folder: Path, *options: object) -> Iterator[Home]:
    """A coordinator that is ready."""
    consilium("coordinator", "init", folder, "--host", "localhost", "--port", free_port(), *options)
    home = open_home(folder)
    with ready(home):
        yield home
    assert processes_of(folder) == []


@contextmanager
def ready(home: Home) -> Iterator[None]:
    """Run a coordinator until it is stopped, unless it was killed."""
    log = home.folder.parent / f"{home.folder.name}.log"
    with process(CONSILIUM, "coordinator", "start", home.folder, log=log) as started:
        until(lambda: b"Ready after" in log.read_bytes() or started.poll() is not None, "it is not ready")
        assert started.poll() is None, log.read_text()
        yield
        if started.poll() is None:
            assert consilium("coordinator", "stop", home.folder).strip() == "Stopped."
        assert started.wait(DEADLINE_S) in (0, -signal.SIGKILL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    with coordinator(tmp_path_factory.mktemp("system") / "home") as running:
        yield running


def ask(home: Home, method: str, path: str, body: bytes = b"") -> int:
    """The status of a request at the coordinator's address, its path sent as it is."""
    port = home.settings().port
    context = ssl.create_default_context(cafile=str(home.authority))
    connection = http.client.HTTPSConnection("localhost", port, context=context, timeout=20)
    try:
        connection.request(method, path, body, {"Content-Type": "application/protobuf"})
        return connection.getresponse().status
    finally:
        connection.close()


def test_health_is_open_to_those_who_trust_the_authority(home: Home) -> None:
    assert ask(home, "GET", "/health") == 200
    stranger = http.client.HTTPSConnection(
        "localhost", home.settings().port, context=ssl.create_default_context(), timeout=20
    )
    with pytest.raises(ssl.SSLCertVerificationError):
        stranger.request("GET", "/health")
    stranger.close()


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1/control/list-nodes",
        "/v1/control/start-run",
        "/v1/runtime/acquire-task",
        "/v1/fleet/../control/list-nodes",
        "/v1/fleet/%2e%2e/control/list-nodes",
        "/v1/fleet/..%2fcontrol/list-nodes",
        "/v1/fleet%2f../control/list-nodes",
        "//v1/control/list-nodes",
        "/V1/CONTROL/list-nodes",
        "/health/../v1/control/list-nodes",
        "/docs",
        "/openapi.json",
    ],
)
def test_nothing_else_is_reached_through_the_proxy(home: Home, path: str) -> None:
    assert ask(home, "POST", path) == 403
    assert ask(home, "GET", path) == 403


def test_what_is_handed_on_is_the_path_that_was_matched(home: Home) -> None:
    def seen() -> int:
        return (home.logs / "superlink.log").read_text().count(" /v1/control/")

    before = seen()
    assert 400 <= ask(home, "POST", "/v1/control/..%2ffleet/pull-messages") < 404
    assert ask(home, "POST", "/v1/fleet/%2e/control/list-nodes") == 404
    assert seen() == before


def test_the_fleet_asks_who_is_calling(home: Home) -> None:
    for verb in ("register-node", "pull-messages", "get-fab", "push-object"):
        assert 400 <= ask(home, "POST", f"/v1/fleet/{verb}") < 500
    assert ask(home, "GET", "/v1/fleet/pull-messages") == 403
    assert ask(home, "POST", "/v1/fleet/push-object", b"0" * 17_000_000) == 413


def test_only_the_proxy_listens_beyond_loopback(home: Home) -> None:
    settings = home.settings()
    listening = {
        int(fields[1].split(":")[1], 16): fields[1].split(":")[0]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A"
    }
    assert listening[settings.internal_port] == "0100007F"
    assert listening[settings.port] == "00000000"


def test_status_tells_of_the_services(home: Home) -> None:
    told: dict[str, Any] = json.loads(consilium("coordinator", "status", home.folder, "--json"))
    assert (told["running"], told["healthy"], told["sites"], told["last_run"]) == (True, True, [], None)
    assert set(told["services"]) == {"superlink", "superexec", "proxy"}
    assert all(birth_of(service["pid"]) == service["birth"] for service in told["services"].values())
    until(lambda: "Super" in consilium("coordinator", "logs", home.folder, "superlink"), "there is no log")


def test_a_second_start_is_refused_in_a_sentence(home: Home) -> None:
    told = consilium("coordinator", "start", home.folder, code=2)
    assert "this coordinator runs already" in told
    assert len(told.splitlines()) == 1


def test_a_killed_superlink_comes_back_with_the_hospitals_it_knew(home: Home, tmp_path: Path) -> None:
    public = write_key(tmp_path / "key")
    consilium("coordinator", "enrol", home.folder, "hospital 1", public)
    state = read_state(home.services)
    assert state is not None
    pid = state.services["superlink"].pid
    assert pid is not None
    os.kill(pid, signal.SIGKILL)

    def back() -> bool:
        now = read_state(home.services)
        return now is not None and now.services["superlink"].pid not in (None, pid)

    until(back, "the SuperLink was not started again")
    until(lambda: ask(home, "GET", "/health") == 200, "the SuperLink did not become healthy")
    told = json.loads(consilium("coordinator", "status", home.folder, "--json"))
    assert (told["services"]["superlink"]["restarts"], told["services"]["superlink"]["last_exit"]) == (1, -9)
    assert [(site["name"], site["connected"]) for site in told["sites"]] == [("hospital 1", False)]
    other = tmp_path / "again.pub"
    other.write_bytes(public.read_bytes())
    assert "is the key of hospital 1" in consilium(
        "coordinator", "enrol", home.folder, "hospital 2", other, code=2
    )


def test_a_coordinator_that_was_killed_is_started_again_over_what_it_left(tmp_path: Path) -> None:
    with coordinator(tmp_path / "home") as home:
        before = read_state(home.services)
        assert before is not None
        os.kill(before.pid, signal.SIGKILL)
        left = [each.pid for each in before.services.values() if each.pid is not None]
        until(lambda: read_state(home.services) is None, "it did not end")
        assert "does not run" in consilium("coordinator", "run", home.folder, code=2)
        with ready(home):
            assert ask(home, "GET", "/health") == 200
            assert all(birth_of(pid) is None for pid in left)


def write_key(path: Path) -> Path:
    """A node's key pair as a hospital makes it; the path of the public one."""
    key = ec.generate_private_key(ec.SECP384R1())
    ssh = serialization.PrivateFormat.OpenSSH
    path.write_bytes(key.private_bytes(serialization.Encoding.PEM, ssh, serialization.NoEncryption()))
    public = path.with_suffix(".pub")
    openssh = (serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    public.write_bytes(key.public_key().public_bytes(*openssh))
    return public


@contextmanager
def hospital(home: Home, number: int, cohort: Path, folder: Path) -> Iterator[None]:
    """A bare SuperNode for one site of a cohort, enrolled under its name."""
    folder.mkdir()
    public = write_key(folder / "key")
    consilium("coordinator", "enrol", home.folder, f"hospital {number}", public)
    node = f'site="{cohort}/hospital-{number}" federation="{cohort / FILE_NAME}"'
    env = {**environment(home), "FLWR_HOME": str(folder / "flwr"), "OMP_NUM_THREADS": "1"}
    with process(
        *(Path(sys.executable).with_name("flower-supernode"), "--root-certificates", home.authority),
        *("--superlink", f"localhost:{home.settings().port}", "--auth-supernode-private-key", folder / "key"),
        *("--isolation", "subprocess", "--host", "127.0.0.1", "--port", free_port(), "--node-config", node),
        log=folder / "supernode.log",
        **env,
    ):
        yield


@pytest.mark.slow
def test_two_hospitals_train_over_tls_what_they_train_in_one_process(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    federation = load(cohort / FILE_NAME)
    two = federation.model_copy(update={"participants": federation.participants[:2]})
    save(two, cohort / FILE_NAME)
    with (
        coordinator(tmp_path / "home", "--federation", cohort) as home,
        hospital(home, 1, cohort, tmp_path / "one"),
        hospital(home, 2, cohort, tmp_path / "two"),
    ):
        told = consilium("coordinator", "run", home.folder)
        assert "2 of 2 hospitals take part: hospital 1, hospital 2." in told
        assert "round 2 of 2: 2 hospitals" in told
        (out,) = home.runs.iterdir()
        status = json.loads(consilium("coordinator", "status", home.folder, "--json"))
        assert status["last_run"] == {"id": out.name, "status": "completed", "rounds": 2}
        assert all(site["connected"] for site in status["sites"])
        rounds = [record for record in read_journal(out) if isinstance(record, RoundRecord)]
        assert all(record.sites.keys() == {"hospital 1", "hospital 2"} for record in rounds)

        nodes = [{"site": f"{cohort}/hospital-{n}", "federation": str(cohort / FILE_NAME)} for n in (1, 2)]
        config: dict[str, bool | float | int | str] = {
            "federation": str(cohort / FILE_NAME),
            "out": str(tmp_path / "alone"),
        }
        run_federation(server_app(), CLIENT_APP, nodes, config, "serial", serialise=True)
        expected = read_trained(tmp_path / "alone").result.weights
        assert {name: array.tobytes() for name, array in load_result(out).weights.items()} == {
            name: array.tobytes() for name, array in expected.items()
        }
    until(lambda: processes_of(tmp_path) == [], "processes of the hospitals are left")
