import importlib
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Context, Message, RecordDict
from flwr.common.constant import ErrorCode
from flwr.serverapp import Grid, ServerApp
from numpy.typing import NDArray

from common.extras import EXTRAS, MissingExtra
from simulations.engines.in_process import run_in_process
from simulations.engines.names import Engine

APP = "toy_apps:app"
NODES: list[dict[str, bool | float | int | str]] = [
    {"site": "a", "seed": 1},
    {"site": "b", "seed": 2},
    {"site": "c", "seed": 3},
]
EVERY_ENGINE = pytest.mark.parametrize(
    ("engine", "serialise"),
    [
        pytest.param("serial", False, id="serial"),
        pytest.param("serial", True, id="serial-wire"),
        pytest.param("processes", False, id="processes"),
        pytest.param("ray", False, id="ray", marks=pytest.mark.ray),
    ],
)


@pytest.fixture(autouse=True)
def _engine_has_what_it_needs(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.node.get_closest_marker("ray"):
        pytest.importorskip("ray", reason="the optional Ray engine is not installed")
    monkeypatch.syspath_prepend(str(Path(__file__).parent))


def server(main: Callable[[Grid, Context], None]) -> ServerApp:
    app = ServerApp()
    app.main()(main)
    return app


def ask(grid: Grid, kind: str, content: Callable[[], RecordDict] = RecordDict) -> list[Message]:
    return list(grid.send_and_receive([Message(content(), node, kind) for node in grid.get_node_ids()]))


def site(reply: Message) -> str:
    return str(reply.content.config_records["header"]["site"])


def federated_average(rounds: int, out: dict[str, Any], size: int = 1000) -> ServerApp:
    """Plain averaging in the order of the sites' names; leaves what a test compares in `out`."""

    def main(grid: Grid, context: Context) -> None:
        weights: NDArray[np.float32] = np.zeros(size, dtype=np.float32)
        for number in range(rounds):
            content = RecordDict(
                {
                    "weights": ArrayRecord({"w": Array(weights)}),
                    "header": ConfigRecord({"round": number}),
                }
            )
            replies = sorted(ask(grid, "train", lambda content=content: content), key=site)  # type: ignore[misc]
            assert content.config_records["header"]["round"] == number
            np.testing.assert_array_equal(content.array_records["weights"]["w"].numpy(), weights)
            trained = [reply.content.array_records["weights"]["w"].numpy() for reply in replies]
            weights = np.mean(trained, axis=0, dtype=np.float32)
        out["weights"] = weights
        out["sites"] = [site(reply) for reply in replies]
        out["remembered"] = [reply.content.metric_records["seen"]["rounds"] for reply in replies]
        out["run_config"] = dict(context.run_config)

    return server(main)


@EVERY_ENGINE
def test_every_engine_gives_the_same_weights(engine: Engine, serialise: bool) -> None:
    out: dict[str, Any] = {}
    run_in_process(federated_average(3, out), APP, NODES, {"rate": 0.5}, engine, serialise, workers=2)

    expected: NDArray[np.float32] = np.zeros(1000, dtype=np.float32)
    for number in range(3):
        steps = [
            np.random.default_rng([seed, number]).normal(size=1000).astype(np.float32) for seed in (1, 2, 3)
        ]
        expected = np.mean([expected + np.float32(0.5) * step for step in steps], axis=0, dtype=np.float32)
    np.testing.assert_array_equal(out["weights"], expected)
    assert out["sites"] == ["a", "b", "c"]
    assert out["remembered"] == [3, 3, 3]
    assert out["run_config"] == {"rate": 0.5}


@EVERY_ENGINE
def test_an_exception_at_a_site_becomes_a_code_without_its_text(engine: Engine, serialise: bool) -> None:
    replies: list[Message] = []
    main = server(lambda grid, context: replies.extend(ask(grid, "query.fail")))
    run_in_process(main, APP, NODES, {}, engine, serialise, workers=2)

    (failure,) = [reply for reply in replies if reply.has_error()]
    assert failure.error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION
    assert failure.error.reason == "RAISED"
    assert len(replies) == 3


@EVERY_ENGINE
def test_an_exception_of_the_server_reaches_the_caller(engine: Engine, serialise: bool) -> None:

    def main(grid: Grid, context: Context) -> None:
        raise LookupError("no quorum")

    with pytest.raises(LookupError) as raised:
        run_in_process(server(main), APP, NODES, {}, engine, serialise, workers=2)
    assert raised.value.args == ("no quorum",)


@pytest.mark.ray
def test_ray_stays_on_the_loopback_interface_and_is_gone_afterwards() -> None:
    ray: Any = importlib.import_module("ray")
    addresses: list[str] = []
    main = server(lambda grid, context: addresses.append(ray.util.get_node_ip_address()))
    run_in_process(main, APP, NODES, {}, "ray", workers=1)
    assert addresses == ["127.0.0.1"]
    assert not ray.is_initialized()


def test_a_site_whose_process_dies_is_an_error_and_comes_back() -> None:
    replies: list[list[Message]] = []

    def main(grid: Grid, context: Context) -> None:
        replies.extend(ask(grid, kind) for kind in ("query.die", "query.fail", "query.die"))

    run_in_process(server(main), APP, NODES, {}, "processes", workers=2)

    for answers in (replies[0], replies[2]):
        assert [reply.has_error() for reply in answers] == [False, True, False]
        assert answers[1].error.code == ErrorCode.CLIENT_APP_CRASHED
    assert replies[1][1].error.code == ErrorCode.CLIENT_APP_RAISED_EXCEPTION


def test_a_site_stays_in_one_process_with_one_thread() -> None:
    facts: list[list[tuple[object, object]]] = []

    def main(grid: Grid, context: Context) -> None:
        for _ in range(2):
            records = [reply.content.metric_records["facts"] for reply in ask(grid, "query.process")]
            facts.append([(record["pid"], record["threads"]) for record in records])

    run_in_process(server(main), APP, NODES, {}, "processes", workers=2)

    assert facts[0] == facts[1]
    assert {threads for _, threads in facts[0]} == {1}
    assert len({pid for pid, _ in facts[0]}) == 2


def test_a_worker_that_cannot_load_the_client_app_ends_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    replies: list[Message] = []
    loads_once = (
        "import multiprocessing\nassert not multiprocessing.parent_process()\nfrom toy_apps import app\n"
    )
    (tmp_path / "only_here.py").write_text(loads_once)
    monkeypatch.syspath_prepend(str(tmp_path))
    main = server(lambda grid, context: replies.extend(ask(grid, "query.fail")))
    with pytest.raises(RuntimeError, match="only_here:app"):
        run_in_process(main, "only_here:app", NODES, {}, "processes", workers=1)


def test_messages_go_from_the_coordinator_to_the_node_and_back() -> None:
    def main(grid: Grid, context: Context) -> None:
        first, second = (Message(RecordDict(), node, "query.fail") for node in list(grid.get_node_ids())[::2])
        replies = list(grid.send_and_receive([first, second]))
        assert first.metadata.run_id == context.run_id == grid.run.run_id
        for sent, reply in zip((first, second), replies, strict=True):
            assert reply.metadata.reply_to_message_id == sent.metadata.message_id
            assert reply.metadata.src_node_id == sent.metadata.dst_node_id
            assert reply.metadata.dst_node_id == sent.metadata.src_node_id
        assert first.metadata.src_node_id not in list(grid.get_node_ids())

    run_in_process(server(main), APP, NODES, {})


def test_replies_wait_to_be_pulled_once() -> None:
    def main(grid: Grid, context: Context) -> None:
        ids = list(
            grid.push_messages([Message(RecordDict(), node, "query.fail") for node in grid.get_node_ids()])
        )
        (last,) = grid.pull_messages(ids[2:])
        assert last.metadata.reply_to_message_id == ids[2]
        (first, second) = grid.pull_messages(ids)
        assert [first.metadata.reply_to_message_id, second.metadata.reply_to_message_id] == ids[:2]
        assert list(grid.pull_messages(ids)) == []

    run_in_process(server(main), APP, NODES, {})


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_a_site_is_asked_when_its_reply_is_pulled_and_replies_do_not_pile_up(
    engine: Engine, tmp_path: Path
) -> None:
    """Worker processes are one message ahead at most."""
    asked = tmp_path / "asked"
    nodes: list[dict[str, bool | float | int | str]] = [{"site": f"{number}"} for number in range(12)]

    def main(grid: Grid, context: Context) -> None:
        ids = list(
            grid.push_messages([Message(RecordDict(), node, "query.sign") for node in grid.get_node_ids()])
        )
        pulled = 0
        while some := list(grid.pull_messages(ids)):
            pulled += len(some)
            assert len(some) == 1
            assert len(asked.read_text()) <= pulled + (2 if engine == "processes" else 0)
        assert pulled == len(asked.read_text()) == 12

    run_in_process(server(main), APP, nodes, {"asked": str(asked)}, engine, workers=2)


def test_a_server_that_ends_without_asking_for_replies_ends_the_run_quietly(
    capfd: pytest.CaptureFixture[str],
) -> None:
    def main(grid: Grid, context: Context) -> None:
        ids = list(grid.push_messages([Message(RecordDict(), n, "query.fail") for n in grid.get_node_ids()]))
        assert len(list(grid.pull_messages(ids))) == 1

    run_in_process(
        server(main), APP, [{"site": str(number)} for number in range(6)], {}, "processes", workers=2
    )
    assert capfd.readouterr().err == ""


def test_a_message_to_nobody_and_a_reply_to_nothing_are_errors() -> None:
    def main(grid: Grid, context: Context) -> None:
        (nobody,) = grid.send_and_receive([Message(RecordDict(), 99, "query.fail")])
        assert nobody.error.code == ErrorCode.NODE_UNAVAILABLE
        assert {reply.error.code for reply in ask(grid, "query.impostor")} == {
            ErrorCode.CLIENT_APP_RAISED_EXCEPTION
        }

    run_in_process(server(main), APP, NODES, {})


def test_without_ray_the_engine_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(EXTRAS, "ray", ("no_such_module",))
    with pytest.raises(MissingExtra) as refused:
        run_in_process(server(lambda grid, context: None), APP, NODES, {}, "ray")
    assert (refused.value.extra, refused.value.where) == ("ray", "--engine ray")


@pytest.mark.parametrize("reference", ["toy_apps", "toy_apps:train"])
def test_a_reference_that_is_no_client_app_is_refused(reference: str) -> None:
    with pytest.raises(TypeError):
        run_in_process(server(lambda grid, context: None), reference, NODES, {})


def test_ten_rounds_of_ten_sites_and_a_megabyte_take_no_time_to_speak_of() -> None:
    sites: list[dict[str, bool | float | int | str]] = [
        {"site": f"{number}", "seed": number} for number in range(10)
    ]
    out: dict[str, Any] = {}
    started = time.process_time()
    run_in_process(federated_average(10, out, size=250_000), APP, sites, {"rate": 0.1})
    assert time.process_time() - started < 2
