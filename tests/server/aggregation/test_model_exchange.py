import weakref
from collections.abc import Iterator
from itertools import permutations
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam, FedAvg, FedYogi

from common.messages.compression import encode, flatten
from common.messages.exchange import ModelRequest, UpdateReply
from common.messages.packing import Arrays
from common.patients.preprocessing import unpack_preprocessing
from server.aggregation.averaging import Weights
from server.aggregation.model_exchange import unpacked
from server.records.dropped import DropReason

if TYPE_CHECKING:
    from tests.server.conftest import Bench


def made(weights: Weights | None) -> Weights:
    """Weights that a round with a quorum made."""
    assert weights is not None
    return weights


def test_requests_go_to_exactly_the_roster_and_carry_model_and_preprocessing(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask(3)
    assert {site: message.metadata.dst_node_id for site, message in requests.items()} == bench.nodes
    request = ModelRequest.from_record(requests["west"].content)
    assert (request.round, request.fold, request.seed) == (3, 2, 11)
    assert request.federation == rounds.run.federation.digest
    assert all(np.array_equal(request.weights[name], array) for name, array in bench.weights.items())
    assert unpack_preprocessing(request.preprocessing).cuts["os"].shape == (12,)


def test_average_equals_hand_computed_values_per_group(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    patients = {
        "east": {"patients": 10.0, "branches.rna": 0.0},
        "north": {"patients": 30.0, "branches.rna": 1.0},
        "south": {"patients": 40.0, "branches.rna": 3.0},
    }
    moved = {"east": 1.0, "north": 2.0, "south": 8.0}
    replies = [bench.reply(requests[s], s, add=moved[s], patients=patients[s]) for s in patients]
    arrays = rounds.close(replies)
    new = made(arrays)
    np.testing.assert_allclose(
        new["shared.weight"], bench.weights["shared.weight"] + 4.875
    )  # (10*1 + 30*2 + 40*8) / 80
    np.testing.assert_allclose(
        new["branches.rna.weight"], bench.weights["branches.rna.weight"] + 6.5
    )  # (2 + 24) / 4
    np.testing.assert_array_equal(new["heads.os.weight"], bench.weights["heads.os.weight"])  # nobody has it
    assert all(array.dtype == np.float32 for array in new.values())
    assert rounds.record.sites["south"].patients == {"branches.rna": 3.0, "heads.os": 0.0, "patients": 40.0}


def test_sums_are_exact_to_the_last_bit_of_float32(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    adds = {"east": 1e4, "north": 1e-3, "south": -1e4, "west": 3e-3}  # in float32 the small ones would drown
    replies = [
        bench.reply(
            requests[site],
            site,
            patients={"patients": 7.0, "heads.os": 7.0},
            weights={name: np.full_like(array, add) for name, array in bench.weights.items()},
        )
        for site, add in adds.items()
    ]
    arrays = rounds.close(replies)
    expected = np.float32(np.mean([np.float64(np.float32(add)) for add in adds.values()]))
    assert made(arrays)["heads.os.weight"].tolist() == [expected]


def test_replies_do_not_pile_up(bench: "Bench", tmp_path: Path) -> None:
    rounds = bench.rounds(folder=tmp_path)
    requests = rounds.ask()
    alive: list[weakref.ref[RecordDict]] = []
    most = 0

    def arriving() -> Iterator[Message]:
        nonlocal most
        for site, request in requests.items():
            reply = bench.reply(request, site)
            alive.append(weakref.ref(reply.content))
            most = max(most, sum(each() is not None for each in alive))
            yield reply

    arrays = rounds.close(arriving())
    assert len(alive) == 4
    assert most == 2, "the one that was just read, and the next"
    np.testing.assert_allclose(made(arrays)["heads.os.weight"], bench.weights["heads.os.weight"] + 1)
    assert not list(tmp_path.iterdir())


def test_weights_near_the_largest_float_do_not_overflow(bench: "Bench") -> None:
    agreed = bench.federation()
    far = agreed.training.model_copy(update={"learning_rate": 1e38})
    rounds = bench.rounds(agreed.model_copy(update={"training": far}))
    requests = rounds.ask()
    largest = {name: np.full_like(array, 3.4e38) for name, array in bench.weights.items()}
    patients = dict.fromkeys(("patients", "branches.rna", "heads.os"), 400.0)
    replies = [bench.reply(requests[s], s, weights=largest, patients=patients) for s in requests]
    arrays = rounds.close(replies)
    for name, array in made(arrays).items():
        np.testing.assert_array_equal(array, largest[name])


@pytest.mark.parametrize("name", ["fedavg", "fedprox", "fedadam", "fedyogi"])
def test_order_of_arrival_does_not_change_a_bit(bench: "Bench", name: str) -> None:
    generator = np.random.default_rng(3)
    moves = {site: generator.normal(size=4) * 10.0 ** generator.integers(-4, 4, 4) for site in bench.nodes}
    counts = {site: float(generator.integers(1, 400)) for site in bench.nodes}
    outcomes, records = set(), set()
    for order in permutations(bench.nodes):
        rounds = bench.rounds(bench.federation(strategy=name))
        requests = rounds.ask()
        replies = []
        for site in order:
            sent = {
                key: (array + moves[site][: array.size].reshape(array.shape)).astype(np.float32)
                for key, array in bench.weights.items()
            }
            patients = dict.fromkeys(("patients", "branches.rna", "heads.os"), counts[site])
            metrics = bench.metrics(float(moves[site][0]), counts[site])
            replies.append(
                bench.reply(requests[site], site, weights=sent, patients=patients, metrics=metrics)
            )
        replies.append(bench.error(requests["east"], 8, "crashed"))
        arrays = rounds.close(iter(replies))
        outcomes.add(b"".join(array.tobytes() for array in made(arrays).values()))
        records.add(rounds.record.model_copy(update={"seconds": 0.0}).model_dump_json())
    assert len(outcomes) == 1
    assert len(records) == 1


def test_below_the_quorum_nothing_is_applied(bench: "Bench") -> None:
    rounds = bench.rounds(bench.federation(quorum=0.6))  # of four: three
    requests = rounds.ask()
    two = [bench.reply(requests[s], s) for s in ("east", "west")]
    bad = bench.reply(requests["south"], "south", weights={})
    arrays = rounds.close([*two, bad])
    assert arrays is None
    assert not rounds.record.applied
    assert set(rounds.record.sites) == {"east", "west"}
    assert {(one.site, one.reason) for one in rounds.record.dropped} == {
        ("north", "no-reply"),
        ("south", "array-names"),
    }
    requests = rounds.ask(2)
    arrays = rounds.close([bench.reply(requests[s], s) for s in ("east", "west", "north")])
    assert arrays is not None
    assert rounds.record.applied


def flower_reply(request: Message, arrays: dict[str, np.ndarray], patients: float) -> Message:
    content = RecordDict(
        {
            "arrays": ArrayRecord({key: Array(value) for key, value in arrays.items()}),
            "metrics": MetricRecord({"num-examples": patients}),
        }
    )
    return Message(content, reply_to=request)


@pytest.mark.parametrize(("name", "flowers"), [("fedadam", FedAdam), ("fedyogi", FedYogi)])
def test_adaptive_strategies_equal_flowers_own(
    bench: "Bench", name: str, flowers: type[FedAdam] | type[FedYogi]
) -> None:
    ours = bench.rounds(bench.federation(strategy=name, server_learning_rate=0.03))
    reference = flowers(eta=0.03, min_train_nodes=4, min_available_nodes=4)
    generator = np.random.default_rng(5)
    mine, theirs = dict(bench.weights), dict(bench.weights)
    sizes = {site: float(generator.integers(1, 99)) for site in bench.nodes}
    for number in range(1, 6):
        requests = ours.ask(number, mine)
        record = ArrayRecord({key: Array(value) for key, value in theirs.items()})
        everyone = bench.grid({node: lambda message: None for node in bench.nodes.values()})
        messages = reference.configure_train(number, record, ConfigRecord(), everyone)
        by_node = {message.metadata.dst_node_id: message for message in messages}
        replies, their_replies = [], []
        for site, node in bench.nodes.items():
            local = {
                k: (v + generator.normal(size=v.shape)).astype(np.float32) for k, v in bench.weights.items()
            }
            patients = sizes[site]
            groups = dict.fromkeys(("patients", "branches.rna", "heads.os"), patients)
            replies.append(bench.reply(requests[site], site, weights=local, patients=groups))
            their_replies.append(flower_reply(by_node[node], local, patients))
        mine = made(ours.close(replies))
        arrays, _ = reference.aggregate_train(number, their_replies)
        assert arrays is not None
        theirs = dict(unpacked(arrays))
        for key in mine:
            np.testing.assert_allclose(mine[key], theirs[key], rtol=1e-5)
            assert not np.array_equal(mine[key], bench.weights[key])


def test_fedavg_equals_flowers_own_when_every_site_has_everything(bench: "Bench") -> None:
    ours, reference = bench.rounds(), FedAvg()
    requests = ours.ask()
    replies, their_replies = [], []
    for number, site in enumerate(bench.nodes, start=1):
        local = {key: array * np.float32(number) for key, array in bench.weights.items()}
        groups = dict.fromkeys(("patients", "branches.rna", "heads.os"), 7.0 * number)
        replies.append(bench.reply(requests[site], site, weights=local, patients=groups))
        their_replies.append(flower_reply(requests[site], local, 7.0 * number))
    mine = ours.close(replies)
    theirs, _ = reference.aggregate_train(1, their_replies)
    assert theirs is not None
    for key, array in made(mine).items():
        np.testing.assert_allclose(array, unpacked(theirs)[key], rtol=1e-6)


def test_momentum_does_not_move_a_branch_that_nobody_trained(bench: "Bench") -> None:
    rounds = bench.rounds(bench.federation(strategy="fedadam"))
    requests = rounds.ask()
    first = made(rounds.close([bench.reply(requests[s], s) for s in requests]))
    assert not np.array_equal(first["branches.rna.weight"], bench.weights["branches.rna.weight"])
    requests = rounds.ask(2, first)
    replies = [bench.reply(requests[s], s, patients={"patients": 9.0}) for s in requests]
    second = made(rounds.close(replies))
    assert np.array_equal(second["branches.rna.weight"], first["branches.rna.weight"])
    assert not np.array_equal(second["shared.weight"], first["shared.weight"])


def test_pooled_figures_weigh_patients_not_sites(bench: "Bench") -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    metrics = {
        "east": bench.metrics(1.0, patients=10),
        "north": bench.metrics(4.0, patients=30),
        "south": bench.metrics(float("nan")),
    }
    replies = [bench.reply(requests[site], site, metrics=metrics[site]) for site in metrics]
    _ = rounds.close(replies)
    assert rounds.record.validation_loss == pytest.approx((10 * 1 + 30 * 4) / 40)
    assert rounds.record.concordance == {"os": 0.75}
    assert set(rounds.record.sites["south"].metrics) == {
        "validation_patients",
        "concordant:os",
        "comparable:os",
    }


def test_encoded_updates_are_averaged_as_the_weights_they_make(bench: "Bench") -> None:
    federation = bench.federation().changed({"wire.update": "int8"})
    shapes = {name: array.shape for name, array in bench.weights.items()}
    rounds = bench.rounds(federation)
    requests = rounds.ask()

    def reply(site: str, update: Arrays, **changes: object) -> Message:
        told = {"patients": 30.0, "branches.rna": 20.0, "heads.os": 30.0}
        encoded = UpdateReply(site=site, round=1, update=update, patients=told, metrics=bench.metrics(0.5))
        return Message(encoded.model_copy(update=changes).to_record(), reply_to=requests[site])

    change = np.arange(7, dtype=np.float32)
    fits = encode(change, federation.wire, shapes)
    replies = [
        reply("east", fits),
        reply("north", encode(3 * change, federation.wire, shapes)),
        bench.reply(requests["south"], "south"),
        reply("west", {"levels": fits["levels"][:-1]}),
    ]
    arrays = rounds.close(replies)
    moved = {name: array - bench.weights[name] for name, array in made(arrays).items()}
    np.testing.assert_array_equal(flatten(dict(moved)), 2 * change)
    assert {one.site: one.reason for one in rounds.record.dropped} == {
        "south": DropReason.INVALID_MESSAGE,
        "west": DropReason.INVALID_MESSAGE,
    }
    plain = bench.rounds()
    asked = plain.ask()
    plain.close([Message(replies[0].content, reply_to=asked["east"])])
    assert ("east", DropReason.INVALID_MESSAGE) in {(one.site, one.reason) for one in plain.record.dropped}


@pytest.mark.parametrize(("telling", "known"), [(1, 0), (2, 0), (3, 3), (4, 4)])
def test_losses_that_few_hospitals_tell_choose_no_round(bench: "Bench", telling: int, known: int) -> None:
    rounds = bench.rounds()
    requests = rounds.ask()
    replies = [
        bench.reply(requests[site], site, metrics=bench.metrics(1.0) if number < telling else {})
        for number, site in enumerate(sorted(requests))
    ]
    rounds.close(replies)
    assert len(rounds.losses) == known
