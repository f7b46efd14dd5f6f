"""Strategies make the next weights: the product's to the bit as Flower's, and one from outside by its formula."""

from typing import TYPE_CHECKING

import numpy as np
import pytest
from flwr.app import ArrayRecord, ConfigRecord, Message, MetricRecord, RecordDict
from flwr.serverapp.strategy import FedAdam as FlowersAdam
from flwr.serverapp.strategy import FedYogi as FlowersYogi

from common.models.parameter_groups import AveragingWeights, Counted, ModelGroups, ParameterGroup
from server.aggregation.averaging import Average, Weights, WeightSpill
from server.aggregation.contributions import Contributions
from server.aggregation.model_exchange import packed, unpacked
from server.aggregation.strategies import FedAdam, FedAvg, FedYogi, Strategy
from tests.server.aggregation.trimmed_mean import TrimmedMean

if TYPE_CHECKING:
    from tests.server.conftest import Bench

RNA, HEAD = ParameterGroup("branches.rna", "rna"), ParameterGroup("heads.os", None, "os")
GROUPS = ModelGroups(
    {"shared.weight": ParameterGroup.SHARED, "branches.rna.weight": RNA, "heads.os.weight": HEAD}
)


def counts(shared: float, rna: float, head: float) -> AveragingWeights:
    return AveragingWeights({ParameterGroup.SHARED: shared, RNA: rna, HEAD: head}, Counted.UNITS)


def step(
    strategy: Strategy,
    number: int,
    sent: Weights,
    trained: dict[str, Weights],
    behind: dict[str, AveragingWeights] | None = None,
) -> Weights:
    """The next weights, float32 as the exchange hands them on."""
    with WeightSpill() as spill:
        average = Average(sent, GROUPS, spill)
        for site, weights in trained.items():
            average.put(site, weights)
        behind = behind or dict.fromkeys(trained, counts(1, 1, 1))
        return strategy.next_weights(Contributions(number, sent, behind, average))


@pytest.mark.parametrize(
    ("ours", "flowers"),
    [
        (FedAdam(0.03), FlowersAdam(eta=0.03, min_train_nodes=1, min_available_nodes=1)),
        (FedYogi(0.03), FlowersYogi(eta=0.03, min_train_nodes=1, min_available_nodes=1)),
    ],
)
def test_adaptive_steps_equal_flowers_to_the_bit(
    bench: "Bench", ours: Strategy, flowers: FlowersAdam | FlowersYogi
) -> None:
    generator = np.random.default_rng(5)
    sent = dict(bench.weights)
    for number in range(1, 8):
        (message,) = flowers.configure_train(
            number, packed(sent), ConfigRecord(), bench.grid({7: lambda message: None})
        )
        local = {
            name: (array + generator.normal(size=array.shape)).astype(np.float32)
            for name, array in sent.items()
        }
        content = RecordDict({"arrays": packed(local), "metrics": MetricRecord({"num-examples": 1.0})})
        theirs, _ = flowers.aggregate_train(number, [Message(content, reply_to=message)])
        assert isinstance(theirs, ArrayRecord)
        sent = step(ours, number, sent, {"east": local})
        for name, array in unpacked(theirs).items():
            np.testing.assert_array_equal(sent[name], array)
            assert sent[name].dtype == np.float32


def test_a_parameter_that_nobody_trained_stays_under_every_strategy(bench: "Bench") -> None:
    moved = {site: {k: v + np.float32(9) for k, v in bench.weights.items()} for site in bench.nodes}
    behind = {site: counts(5, 0, 0) for site in bench.nodes}
    strategies: tuple[Strategy, ...] = (FedAvg(), FedAdam(0.1), FedYogi(0.1), TrimmedMean())
    for strategy in strategies:
        following = step(strategy, 1, bench.weights, moved, behind)
        assert not np.array_equal(following["shared.weight"], bench.weights["shared.weight"])
        for name in ("branches.rna.weight", "heads.os.weight"):
            np.testing.assert_array_equal(following[name], bench.weights[name])


def test_contributors_have_patients_in_the_group_of_a_parameter(bench: "Bench") -> None:
    behind = {"west": counts(5, 1, 0), "east": counts(5, 0, 0)}
    with WeightSpill() as spill:
        average = Average(bench.weights, GROUPS, spill)
        average.put("east", bench.weights)
        contributions = Contributions(1, bench.weights, behind, average)
        assert contributions.contributors() == {
            "shared.weight": ("east", "west"),
            "branches.rna.weight": ("west",),
            "heads.os.weight": (),
        }
        for name, array in contributions.weights("east").items():
            np.testing.assert_array_equal(array, bench.weights[name])


def test_a_trimmed_mean_leaves_out_the_extremes_of_every_entry(bench: "Bench") -> None:
    moves = {"a": -1e30, "b": 1.0, "c": 2.0, "d": 4.5, "e": 1e30}
    trained = {
        site: {name: array + np.float32(move) for name, array in bench.weights.items()}
        for site, move in moves.items()
    }
    following = step(TrimmedMean(), 1, bench.weights, trained)
    for name, array in following.items():
        np.testing.assert_allclose(array, bench.weights[name] + 2.5, rtol=1e-6)
