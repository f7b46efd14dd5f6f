"""The coordinator as it runs: real processes, TLS on loopback, and nothing left of them afterwards."""

import http.client
import json
import os
import signal
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from client.site_folder.places import Home
from common.agreement.federation import FILE_NAME, load, save
from common.processes.supervision_state import birth_of, read_state
from server.app import server_app
from server.home.places import CoordinatorHome
from server.records.journal import RoundRecord, read_journal
from server.records.result import load_result
from server.services.processes import environment
from simulations.engines.in_process import run_in_process
from simulations.experiment.arms import CLIENT_APP, read_trained
from tests.system.processes import (
    ask,
    consilium,
    coordinator,
    process,
    processes_of,
    ready,
    supernode,
    until,
    write_key,
)

pytestmark = pytest.mark.usefixtures("nginx")
SmallCohort = Callable[..., Path]


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CoordinatorHome]:
    with coordinator(tmp_path_factory.mktemp("system") / "home") as running:
        yield running


def test_health_is_open_to_those_who_trust_the_authority(home: CoordinatorHome) -> None:
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
def test_nothing_else_is_reached_through_the_proxy(home: CoordinatorHome, path: str) -> None:
    assert ask(home, "POST", path) == 403
    assert ask(home, "GET", path) == 403


def test_what_is_handed_on_is_the_path_that_was_matched(home: CoordinatorHome, tmp_path: Path) -> None:
    def seen() -> int:
        return (home.logs / "superlink.log").read_text().count(" /v1/control/")

    key = tmp_path / "node_key"
    consilium("coordinator", "enrol", home.folder, "hospital 9", write_key(key))
    before = seen()
    assert ask(home, "POST", "/v1/control/..%2ffleet/pull-messages", key=key) == 401
    assert ask(home, "POST", "/v1/fleet/%2e/control/list-nodes", key=key) == 403
    assert seen() == before
    consilium("coordinator", "withdraw", home.folder, "hospital 9")
    assert ask(home, "POST", "/v1/fleet/pull-messages", key=key) == 400


def test_the_fleet_asks_who_is_calling(home: CoordinatorHome) -> None:
    for verb in ("register-node", "pull-messages", "get-fab", "push-object"):
        assert ask(home, "POST", f"/v1/fleet/{verb}") == 403
    assert ask(home, "GET", "/v1/fleet/pull-messages") == 403
    assert ask(home, "POST", "/v1/fleet/push-object", b"0" * 17_000_000) == 413


def test_only_the_proxy_listens_beyond_loopback(home: CoordinatorHome) -> None:
    settings = home.settings()
    listening = {
        int(fields[1].split(":")[1], 16): fields[1].split(":")[0]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if (fields := line.split())[3] == "0A"
    }
    assert listening[settings.internal_port] == "0100007F"
    assert listening[settings.port] == "00000000"


def test_status_tells_of_the_services(home: CoordinatorHome) -> None:
    told: dict[str, Any] = json.loads(consilium("coordinator", "status", home.folder, "--json"))
    assert (told["running"], told["healthy"], told["sites"], told["last_run"]) == (True, True, [], None)
    assert set(told["services"]) == {"superlink", "superexec", "proxy"}
    assert all(birth_of(service["pid"]) == service["birth"] for service in told["services"].values())
    until(lambda: "Super" in consilium("coordinator", "logs", home.folder, "superlink"), "there is no log")


def test_a_second_start_is_refused_in_a_sentence(home: CoordinatorHome) -> None:
    told = consilium("coordinator", "start", home.folder, code=2)
    assert "this coordinator runs already" in told
    assert len(told.splitlines()) == 1


def test_a_killed_superlink_comes_back_with_the_hospitals_it_knew(
    home: CoordinatorHome, tmp_path: Path
) -> None:
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


@contextmanager
def hospital(home: CoordinatorHome, number: int, cohort: Path, folder: Path) -> Iterator[None]:
    """A bare SuperNode for one site of a cohort, enrolled under its name."""
    folder.mkdir()
    site = Home(folder)
    consilium("coordinator", "enrol", home.folder, f"hospital {number}", write_key(site.key))
    node = f'site="{cohort}/hospital-{number}" federation="{cohort / FILE_NAME}"'
    env = {**environment(home), "FLWR_HOME": str(folder / "flwr"), "OMP_NUM_THREADS": "1"}
    command = supernode(home, site, "--isolation", "subprocess", "--node-config", node)
    with process(*command, log=folder / "supernode.log", **env):
        yield


@pytest.mark.slow
def test_two_hospitals_train_over_tls_what_they_train_in_one_process(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    federation = load(cohort / FILE_NAME)
    two = federation.model_copy(update={"participants": federation.participants[:2]})
    save(two, cohort / FILE_NAME)
    for number in (1, 2):
        file = cohort / f"hospital-{number}" / "site.toml"
        file.write_text(f"{file.read_text()}\n[policy]\nmaximum_runs = 2\n")
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
        last = {"id": out.name, "status": "completed", "rounds": 2, "digest": two.digest}
        assert status["last_run"] == last
        assert all(
            site["connected"] and site["connected_since"] and site["approved"] for site in status["sites"]
        )
        rounds = [record for record in read_journal(out) if isinstance(record, RoundRecord)]
        assert all(record.sites.keys() == {"hospital 1", "hospital 2"} for record in rounds)

        nodes = [{"site": f"{cohort}/hospital-{n}", "federation": str(cohort / FILE_NAME)} for n in (1, 2)]
        config: dict[str, bool | float | int | str] = {
            "federation": str(cohort / FILE_NAME),
            "out": str(tmp_path / "alone"),
        }
        run_in_process(server_app(), CLIENT_APP, nodes, config, "serial", serialise=True)
        expected = read_trained(tmp_path / "alone").result.weights
        assert {name: array.tobytes() for name, array in load_result(out).weights.items()} == {
            name: array.tobytes() for name, array in expected.items()
        }
    until(lambda: processes_of(tmp_path) == [], "processes of the hospitals are left")
