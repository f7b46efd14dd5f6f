"""A Ray cluster of two nodes, started and ended here, and joined by its address."""

import json
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from flwr.app import Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp

from common.agreement.federation import FILE_NAME
from common.errors import InputError, OptionError, UnreachableError
from server.records.result import WEIGHTS
from simulations.cohorts.folders import find_sites, twin
from simulations.engines.in_process import run_in_process
from simulations.experiment.arms import Job, train_federation
from tests.loopback_ray import loopback_cluster

SmallCohort = Callable[..., Path]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    """Two nodes of one core each, as two machines would be, on the loopback interface."""
    with loopback_cluster(1, 1) as cluster:
        yield cluster


@pytest.mark.ray
@pytest.mark.slow
def test_a_cluster_gives_the_same_weights_and_is_left_running(
    cluster: Any, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(training__rounds="2")
    for engine, address in (("serial", None), ("ray", cluster.address)):
        sites = tuple(twin(site, tmp_path / f"{engine}-sites" / site.name) for site in find_sites(cohort))
        job = Job(cohort / FILE_NAME, sites, fold=0, seed=0, out=tmp_path / engine)
        train_federation(job, engine, ray_address=address)  # type: ignore[arg-type]
    assert (tmp_path / "ray" / WEIGHTS).read_bytes() == (tmp_path / "serial" / WEIGHTS).read_bytes()

    import ray

    assert not ray.is_initialized()
    for node in cluster.list_all_nodes():
        assert node.any_processes_alive()
        assert node.remaining_processes_alive()


@pytest.mark.ray
@pytest.mark.slow
def test_both_nodes_of_a_cluster_play_hospitals(
    cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path))
    told: list[dict[str, str]] = []
    app = ServerApp()

    @app.main()
    def main(grid: Grid, context: Context) -> None:
        asked = [Message(RecordDict(), node, "query.node") for node in grid.get_node_ids()]
        replies = grid.send_and_receive(asked)
        told.extend(json.loads(str(reply.content.config_records["told"]["json"])) for reply in replies)

    nodes: list[dict[str, bool | float | int | str]] = [{"site": f"{number}"} for number in range(8)]
    run_in_process(app, "toy_apps:app", nodes, {}, "ray", ray_address=cluster.address)
    assert len(told) == 8
    assert {each["node"] for each in told} == {node.node_id for node in cluster.list_all_nodes()}
    assert {each["state"] for each in told} == {str(tmp_path)}
    assert {each["threads"] for each in told} == {"1"}


@pytest.mark.parametrize(
    ("address", "kind"),
    [
        ("ray://127.0.0.1:10001", OptionError),
        ("somewhere", OptionError),
        ("127.0.0.1:70000", OptionError),
        ("127.0.0.1:{free}", UnreachableError),
    ],
)
@pytest.mark.ray
def test_an_address_without_a_cluster_is_told_at_once(address: str, kind: type[InputError]) -> None:
    pytest.importorskip("ray", reason="the optional Ray engine is not installed")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        free = taken.getsockname()[1]
    with pytest.raises(kind) as refused:
        run_in_process(ServerApp(), "client.app:app", [{}], {}, "ray", ray_address=address.format(free=free))
    assert refused.value.where == f"--ray-address {address.format(free=free)}"
