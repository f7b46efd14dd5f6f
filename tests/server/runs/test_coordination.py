import json
import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from flwr.app import Context, Message, MessageType, RecordDict, UserConfig

from common.agreement.federation import FILE_NAME, Federation, save
from common.agreement.privacy_settings import Privacy
from common.errors import InvalidContentError, UnreadableFileError
from common.messages.exchange import STATISTICS, ModelRequest, StatisticsReply, StatisticsRequest
from common.patients.preprocessing import declared, unpack_preprocessing
from common.privacy.planning import with_privacy
from server.aggregation.strategies import FedAvg
from server.app import app, server_app
from server.home.places import ENROLLED, HOME_VARIABLE
from server.participants.countersignatures import FILE_NAME as COUNTERSIGNATURES
from server.participants.enrolment import Enrolment, write_enrolled
from server.records.dropped import DropReason
from server.records.journal import RoundRecord, RunRecord, read_journal
from server.records.result import load_result
from server.runs.coordination import RunFailed

if TYPE_CHECKING:
    from tests.server.conftest import Bench, FakeGrid

Loss = Callable[[float], float]
CANARY = "CANARY-8371"


class Model(torch.nn.Module):
    """Three parameters that start at 0, or at the seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.shared = torch.nn.Parameter(torch.full((2,), float(seed)))
        self.heads = torch.nn.ParameterDict({"os": torch.nn.Parameter(torch.full((1,), float(seed)))})

    def parts(self) -> None:
        """It has no parts to watch."""


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.models.registry.initial_model", lambda federation, prior, seed: Model(seed))


def federation_grid(
    bench: "Bench", loss: Loss, fails: Callable[[str, int], Any] = lambda s, r: False
) -> "FakeGrid":
    """Sites that add 1 to every weight, and whose validation loss is a function of the incoming weight.

    `fails(site, round)` is True for a site that does not answer, or says what it answers instead.
    """

    def site(name: str) -> Callable[[Message], Message | None]:
        def answer(message: Message) -> Message | None:
            if message.metadata.message_type == STATISTICS:
                return (
                    None if fails(name, 0) else Message(bench.statistics(name).to_record(), reply_to=message)
                )
            request = ModelRequest.from_record(message.content)
            if failure := fails(name, request.round):
                return bench.error(message, 2, failure) if isinstance(failure, str) else None
            now = loss(float(request.weights["shared"][0]))
            if message.metadata.message_type == MessageType.EVALUATE:
                return bench.evaluation(message, name, now)
            return bench.reply(message, name, metrics=bench.metrics(now))

        return answer

    return bench.grid({node: site(name) for name, node in bench.nodes.items()})


def rounds(out: Path) -> list[RoundRecord]:
    return [record for record in read_journal(out) if isinstance(record, RoundRecord)]


def runs(out: Path) -> list[RunRecord]:
    return [record for record in read_journal(out) if isinstance(record, RunRecord)]


def kept(out: Path) -> float:
    weights = load_result(out).weights
    assert {name: array.dtype for name, array in weights.items()} == {
        "shared": np.float32,
        "heads.os": np.float32,
    }
    return float(weights["shared"][0])


def test_a_whole_run_through_the_server_app(bench: "Bench", tmp_path: Path) -> None:
    federation = bench.federation(rounds=4, patience=9)
    save(federation, tmp_path / FILE_NAME)
    out, seen = tmp_path / "runs" / "1", list[RoundRecord]()
    config: UserConfig = {
        "federation": str(tmp_path / FILE_NAME),
        "out": str(out),
        "fold": 2,
        "seed": 5,
        "site": "other",
    }
    grid = federation_grid(bench, lambda weight: 100 - weight)
    server_app(seen.append)(grid, Context(5, 1, {}, RecordDict(), config))
    started, ended = runs(out)
    assert (started.status, ended.status) == ("started", "completed")
    assert (ended.fold, ended.seed, ended.rounds, ended.best_round, ended.best_loss) == (2, 5, 4, 4, 91.0)
    assert ended.sites == ("east", "north", "south", "west")
    assert ended.statistics.keys() == ended.withheld.keys()
    assert all(len(digest) == 64 for digest in ended.statistics.values())
    assert ended.withheld["east"] == {
        "modality:clinical": 0.0,
        "modality:rna": 1.0,
        "survival:os": 0.0,
        "rest:os": 0.0,
    }
    assert [(one.kind, one.round, one.validation_loss) for one in seen] == [
        ("train", 1, 95.0),
        ("train", 2, 94.0),
        ("train", 3, 93.0),
        ("train", 4, 92.0),
        ("evaluate", 5, 91.0),
    ]
    assert rounds(out) == seen
    assert seen[0].concordance == {"os": 0.75}
    assert seen[0].sites["east"].patients["patients"] == 30
    assert kept(out) == 9.0
    preprocessing = unpack_preprocessing(load_result(out).preprocessing)
    assert preprocessing.center["clinical"].tolist() == [2.0]
    assert preprocessing.cuts["os"].shape == (12,)
    assert not [path for path in out.iterdir() if path.suffix == ".tmp"]


def test_early_stop_keeps_the_best_weights(bench: "Bench", tmp_path: Path) -> None:
    federation = bench.federation(rounds=50, patience=3)
    grid = federation_grid(bench, lambda weight: abs(weight - 2.0) + 1.0)
    run = bench.coordinate(grid, federation, tmp_path, tmp_path / "out")
    assert (run.status, run.best_round, run.best_loss) == ("completed", 2, 1.0)
    assert run.rounds == 6  # round 3 scores the weights of round 2, and three more bring nothing better
    assert kept(tmp_path / "out") == 2.0
    assert rounds(tmp_path / "out")[-1].kind == "evaluate"


def test_of_weights_with_the_same_loss_the_latest_are_kept(bench: "Bench", tmp_path: Path) -> None:
    run = bench.coordinate(
        federation_grid(bench, lambda weight: 1.0),
        bench.federation(rounds=6, patience=4),
        tmp_path,
        tmp_path / "out",
    )
    assert (run.rounds, run.best_round, kept(tmp_path / "out")) == (6, 6, 6.0)


def test_weights_within_one_standard_error_of_the_lowest_loss_are_kept(
    bench: "Bench", tmp_path: Path
) -> None:
    # four sites of ten validation patients: a standard error of 1 / sqrt(40) = 0.158
    federation = bench.federation(rounds=50, patience=3)
    grid = federation_grid(bench, lambda weight: 1.0 + 0.05 * abs(weight - 2.0))
    run = bench.coordinate(grid, federation, tmp_path, tmp_path / "out")
    assert (run.best_round, kept(tmp_path / "out")) == (5, 5.0)
    assert run.best_loss == pytest.approx(1.15)
    assert run.rounds == 9  # rounds 6 to 8 are above, and round r scores the weights after round r - 1
    assert rounds(tmp_path / "out")[0].validation_error == pytest.approx(1.1 / 40**0.5)


def test_losses_that_are_not_finite_never_win(bench: "Bench", tmp_path: Path) -> None:
    federation = bench.federation(rounds=6, patience=9)
    grid = federation_grid(bench, lambda weight: float("nan") if weight > 2 else 5.0 - weight)
    run = bench.coordinate(grid, federation, tmp_path, tmp_path / "out")
    assert (run.status, run.best_round, run.best_loss, kept(tmp_path / "out")) == ("completed", 2, 3.0, 2.0)


def test_without_any_known_loss_the_last_weights_are_kept(bench: "Bench", tmp_path: Path) -> None:
    grid = federation_grid(bench, lambda weight: float("nan"))
    run = bench.coordinate(grid, bench.federation(rounds=4, patience=1), tmp_path, tmp_path / "out")
    assert (run.rounds, run.best_round, run.best_loss, kept(tmp_path / "out")) == (4, 4, None, 4.0)


def test_a_round_without_quorum_makes_the_run_partial(bench: "Bench", tmp_path: Path) -> None:
    federation = bench.federation(quorum=0.75, rounds=6)
    grid = federation_grid(
        bench,
        lambda weight: 9.0 - weight,
        lambda site, number: (number in (2, 3, 5) and site in ("east", "west") and CANARY) or False,
    )
    run = bench.coordinate(grid, federation, tmp_path, tmp_path / "out")
    records = rounds(tmp_path / "out")
    assert run.status == "partial"
    assert [record.applied for record in records] == [True, False, False, True, False, True, True]
    assert {(one.site, one.reason, one.code) for one in records[1].dropped} == {
        ("east", DropReason.ERROR, "2"),
        ("west", DropReason.ERROR, "2"),
    }
    assert [record.validation_loss for record in records] == [9.0, 8.0, 8.0, 8.0, 7.0, 7.0, 6.0]
    assert kept(tmp_path / "out") == 3.0
    assert CANARY not in (tmp_path / "out" / "journal.jsonl").read_text()


def test_one_site_missing_leaves_the_run_complete(bench: "Bench", tmp_path: Path) -> None:
    grid = federation_grid(
        bench, lambda weight: 9.0 - weight, lambda site, number: number > 0 and site == "east"
    )
    run = bench.coordinate(grid, bench.federation(rounds=2), tmp_path, tmp_path / "out")
    assert run.status == "completed"
    assert [(one.site, one.reason) for one in rounds(tmp_path / "out")[0].dropped] == [
        ("east", DropReason.NO_REPLY)
    ]


def test_three_rounds_in_a_row_without_quorum_fail_the_run(bench: "Bench", tmp_path: Path) -> None:
    grid = federation_grid(
        bench, lambda weight: 9.0 - weight, lambda site, number: number > 1 and site != "east"
    )
    with pytest.raises(RunFailed):
        bench.coordinate(grid, bench.federation(rounds=50), tmp_path, tmp_path / "out")
    assert [record.applied for record in rounds(tmp_path / "out")] == [True, False, False, False]
    assert runs(tmp_path / "out")[-1].status == "failed"
    assert not (tmp_path / "out" / "weights.safetensors").exists()


def test_a_run_of_which_no_round_counts_fails(bench: "Bench", tmp_path: Path) -> None:
    grid = federation_grid(
        bench, lambda weight: 9.0 - weight, lambda site, number: number > 0 and site != "east"
    )
    with pytest.raises(RunFailed):
        bench.coordinate(grid, bench.federation(rounds=2), tmp_path, tmp_path / "out")
    assert [record.applied for record in rounds(tmp_path / "out")] == [False, False]
    assert runs(tmp_path / "out")[-1].status == "failed"
    assert not (tmp_path / "out" / "weights.safetensors").exists()


def test_too_few_participants_fail_the_run_before_training(bench: "Bench", tmp_path: Path) -> None:
    grid = federation_grid(bench, lambda weight: 1.0, lambda site, number: site != "east")
    with pytest.raises(RunFailed) as failure:
        bench.coordinate(grid, bench.federation(), tmp_path, tmp_path / "out")
    assert re.findall(r"\d+", str(failure.value))[:3] == ["1", "4", "2"]
    assert {message.metadata.message_type for message in grid.sent} == {STATISTICS}
    failed = runs(tmp_path / "out")[-1]
    assert (failed.status, failed.sites) == ("failed", ("east",))
    assert {one.site for one in failed.left_out} >= {"north", "south", "west"}


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedadam", "fedyogi"])
def test_the_same_seed_gives_the_same_weights(bench: "Bench", tmp_path: Path, name: str) -> None:
    federation: Federation = bench.federation(strategy=name, rounds=3)
    for out, nodes in (("a", list(bench.nodes.values())), ("b", list(bench.nodes.values())[::-1])):
        grid = federation_grid(bench, lambda weight: 9.0 - weight)
        grid.answers = {node: grid.answers[node] for node in nodes}
        bench.coordinate(grid, federation, tmp_path, tmp_path / out, seed=3)
    first, second = ((tmp_path / out / "weights.safetensors").read_bytes() for out in ("a", "b"))
    assert first == second


def test_a_run_with_enrolled_keys_asks_their_nodes_alone(
    bench: "Bench", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "runs" / "20261121-101500"
    out.mkdir(parents=True)
    save(bench.federation(rounds=1), out / FILE_NAME)
    enrolled = {
        site: Enrolment(fingerprint="SHA256:x", node_id=node, since="now")
        for site, node in bench.nodes.items()
        if site != "west"
    }
    write_enrolled(out / ENROLLED, enrolled)
    signed = {site: f"signed for {site}" for site in enrolled}
    (out / COUNTERSIGNATURES).write_text(json.dumps(signed))
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    grid = federation_grid(bench, lambda weight: 1.0)
    app(grid, Context(5, 1, {}, RecordDict(), {"run": out.name}))
    assert runs(out)[-1].sites == ("east", "north", "south")
    assert bench.nodes["west"] not in {message.metadata.dst_node_id for message in grid.sent}
    sites = {node: site for site, node in bench.nodes.items()}
    assert signed == {
        sites[message.metadata.dst_node_id]: StatisticsRequest.from_record(message.content).countersignature
        for message in grid.sent
        if message.metadata.message_type == STATISTICS
    }


def test_a_run_without_the_statements_of_the_command_asks_nobody(
    bench: "Bench", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "runs" / "20261121-101500"
    out.mkdir(parents=True)
    save(bench.federation(rounds=1), out / FILE_NAME)
    write_enrolled(out / ENROLLED, {})
    monkeypatch.setenv(HOME_VARIABLE, str(tmp_path))
    grid = federation_grid(bench, lambda weight: 1.0)
    with pytest.raises(UnreadableFileError, match=COUNTERSIGNATURES):
        app(grid, Context(5, 1, {}, RecordDict(), {"run": out.name}))
    assert not grid.sent


def test_a_hospital_withdrawn_within_a_run_is_missing_from_then_on(
    bench: "Bench", tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Flower takes no message to a node that it no longer knows, and gives no name to it."""
    lost, grid = bench.nodes["west"], federation_grid(bench, lambda weight: 1.0)
    push = grid.push_messages

    def withdrawing(messages: Iterable[Message]) -> list[str]:
        sent = list(messages)
        if sent[0].metadata.message_type == STATISTICS:
            return push(sent)
        return [*push([one for one in sent if one.metadata.dst_node_id != lost]), ""]

    monkeypatch.setattr(grid, "push_messages", withdrawing)
    run = bench.coordinate(
        grid, bench.federation(rounds=2), tmp_path, tmp_path / "out", withdrawn=lambda: {"west", "far"}
    )
    assert (run.status, run.rounds) == ("completed", 2)
    for record in rounds(tmp_path / "out"):
        assert [(one.site, one.node, one.reason) for one in record.dropped] == [
            ("west", None, DropReason.WITHDRAWN)
        ]


@pytest.mark.parametrize("config", [{"out": "x"}, {"federation": "f", "out": "x", "fold": -2}])
def test_a_run_configuration_that_does_not_fit_says_so(bench: "Bench", config: dict[str, Any]) -> None:
    with pytest.raises(InvalidContentError):
        server_app()(bench.grid({}), Context(5, 1, {}, RecordDict(), config))


def test_with_privacy_the_mean_of_the_second_half_is_kept_and_nothing_is_asked_but_weights(
    bench: "Bench", tmp_path: Path
) -> None:
    privacy = Privacy(noise_multiplier=1.0, sampling_rate=0.5, expected_batch_size=10)
    federation = with_privacy(bench.federation(rounds=5, patience=1), privacy)

    def site(name: str) -> Callable[[Message], Message]:
        def answer(message: Message) -> Message:
            if message.metadata.message_type == STATISTICS:
                return Message(
                    StatisticsReply(site=name, patients=1, moments={}, withheld={}).to_record(),
                    reply_to=message,
                )
            counts = {"patients": 1.0, "heads.os": 1.0}
            return bench.reply(message, name, patients=counts, metrics={})

        return answer

    grid = bench.grid({node: site(name) for name, node in bench.nodes.items()})
    run = bench.coordinate(grid, federation, tmp_path, tmp_path / "out")
    assert (run.status, run.rounds, run.best_loss) == ("completed", 5, None)
    assert kept(tmp_path / "out") == pytest.approx((3 + 4 + 5) / 3)
    assert {message.metadata.message_type for message in grid.sent} == {STATISTICS, MessageType.TRAIN}
    assert all(
        record.training_loss is None and record.concordance == {} for record in rounds(tmp_path / "out")
    )
    preprocessing = unpack_preprocessing(load_result(tmp_path / "out").preprocessing)
    assert preprocessing.cuts["os"].equal(declared(federation).cuts["os"])


@pytest.mark.parametrize("weights", [{}, {"other": np.zeros(2)}, None, [1.0]])
def test_a_strategy_that_returns_other_weights_is_named(
    bench: "Bench", tmp_path: Path, weights: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FedAvg, "next_weights", lambda self, contributions: weights)
    grid = federation_grid(bench, lambda weight: 1.0)
    with pytest.raises(InvalidContentError) as raised:
        bench.coordinate(grid, bench.federation(), tmp_path, tmp_path)
    assert raised.value.where == "training.strategy"
    assert "fedavg" in raised.value.what
