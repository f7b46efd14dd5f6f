"""Checks of replies made by hand, down to the last array and count."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from client.egress.checks import fit_evaluation, fit_statistics, fit_training
from client.egress.cohort import CohortSize
from client.egress.expected import BlockedError, BlockReason, Expected, Shapes
from client.site_folder.policy import Policy, agree
from common.agreement.federation import Federation
from common.families.registry import family_of
from common.messages.exchange import EvaluateReply, ModelRequest, StatisticsReply, TrainReply
from common.privacy.planning import with_privacy
from tests.client.egress.gate_case import CANARY, NUMBER, PRIVACY
from tests.common.columns import one_number

SHAPES = {"patient.bias": (4,), "branches.rna.token.bias": (2, 3), "heads.response.bias": (2,)}


def expecting(federation: Federation, shapes: Shapes, least: int = 1, norm: float | None = None) -> Expected:
    """Expectation of a reply, whose model has parameters of these shapes."""
    groups = family_of(federation).groups(federation, shapes)
    cohort = CohortSize(None, None, None, None, None, {}, frozenset())
    terms = agree(Policy(minimum_count=least, maximum_reach=1000.0), federation, 12)
    return Expected("north", federation, terms, shapes, groups, cohort, norm)


def held(federation: Federation, least: int = 3, **changes: Any) -> Expected:
    """Expectation of a reply of the small federation, whose model has three parameters."""
    agreed = federation.changed({"statistics.minimum_count": str(least)})
    if (privacy := changes.pop("privacy", None)) is not None:
        agreed = with_privacy(agreed, privacy)
    return expecting(agreed, SHAPES, norm=changes.pop("norm", None))


def request_of(**weights: Any) -> ModelRequest:
    zeros = {name: np.zeros(shape, np.float32) for name, shape in SHAPES.items()}
    return ModelRequest(
        federation="0" * 64, round=2, fold=-1, seed=0, weights=zeros | weights, preprocessing={}
    )


def training_of(expected: Expected, **changes: Any) -> TrainReply:
    """A reply that passes: every parameter moved by one, eight patients behind each."""
    patients = {group.name: 8.0 for group in expected.groups.groups}
    fields: dict[str, Any] = {
        "site": "north",
        "round": 2,
        "weights": {name: np.ones(shape, np.float32) for name, shape in SHAPES.items()},
        "patients": patients,
        "metrics": {"training_loss": 0.5},
    }
    return TrainReply(**(fields | changes))


def reason_of(check: Callable[[], object]) -> BlockReason:
    with pytest.raises(BlockedError) as raised:
        check()
    assert str(raised.value) == raised.value.reason.value, "a fixed word, with nothing of the reply"
    return raised.value.reason


def test_arrays_come_back_in_the_agreements_order_and_in_memory_of_their_own(
    small_federation: Federation,
) -> None:
    expected = held(small_federation)
    wide = np.full((2, 6), NUMBER, np.float32)
    wide[:, ::2] = 1
    weights = training_of(expected).weights | {"branches.rna.token.bias": wide[:, ::2]}
    reply = training_of(expected, weights=dict(reversed(weights.items())))
    fitted, norm, suppressed = fit_training(reply, request_of(), expected)
    assert list(fitted.weights) == list(SHAPES)
    assert norm == pytest.approx(math.sqrt(4 + 6 + 2))
    assert suppressed == ()
    for name, array in fitted.weights.items():
        assert array.base is None, name
        assert array.flags.c_contiguous
        np.testing.assert_array_equal(array, reply.weights[name])


@pytest.mark.parametrize(
    ("group", "count", "reason"),
    [
        ("heads.response", 0.0, BlockReason.UNTRAINED_CHANGED),
        ("heads.response", 2.0, BlockReason.COUNT),
        ("heads.response", 3.0, None),
        ("heads.response", -8.0, BlockReason.COUNT),
        ("heads.response", math.inf, BlockReason.COUNT),
        ("heads.response", math.nan, BlockReason.COUNT),
        ("heads.response", 9.0, BlockReason.COUNT),
        ("patients", 7.0, BlockReason.COUNT),
    ],
)
def test_a_group_has_nobody_or_enough_and_never_more_than_all(
    small_federation: Federation, group: str, count: float, reason: BlockReason | None
) -> None:
    expected = held(small_federation)
    reply = training_of(expected, patients={**training_of(expected).patients, group: count})
    if reason is None:
        assert fit_training(reply, request_of(), expected)[0].patients[group] == count
        return
    assert reason_of(lambda: fit_training(reply, request_of(), expected)) is reason


def test_an_update_of_any_size_is_finite_and_within_the_policys_norm(small_federation: Federation) -> None:
    norm = math.sqrt(4 + 6 + 2)
    within, beyond = (held(small_federation, norm=norm * part) for part in (1.01, 0.99))
    assert fit_training(training_of(within), request_of(), within)[1] == pytest.approx(norm)
    assert (
        reason_of(lambda: fit_training(training_of(beyond), request_of(), beyond)) is BlockReason.UPDATE_NORM
    )
    huge = np.full((4,), np.finfo(np.float32).max)
    far = training_of(within).weights | {"patient.bias": huge}
    free = held(small_federation)
    _, found, _ = fit_training(training_of(free, weights=far), request_of(**{"patient.bias": -huge}), free)
    assert found == pytest.approx(4 * float(np.finfo(np.float32).max))


@settings(max_examples=150, deadline=None)
@given(count=st.integers(0, 12), ones=st.integers(0, 12), least=st.integers(1, 6))
def test_exact_sums_of_zeros_and_ones_pass_only_with_enough_of_either(
    count: int, ones: int, least: int
) -> None:
    federation = one_number().changed({"statistics.minimum_count": str(least)})
    expected = expecting(federation, {})
    ones = min(ones, count)
    sums = np.array([[float(count)], [float(ones)], [float(ones)]])
    reply = StatisticsReply(
        site="north",
        patients=12,
        moments={"modality:rna": sums},
        withheld={"modality:rna": float(count == 0)},
    )
    parts = (count, ones, count - ones)
    if all(part == 0 or part >= least for part in parts):
        np.testing.assert_array_equal(fit_statistics(reply, expected).moments["modality:rna"], sums)
    else:
        assert reason_of(lambda: fit_statistics(reply, expected)) is BlockReason.COUNT


@pytest.mark.parametrize(
    ("sums", "passes"),
    [((5, 10, 20), True), ((5, 15, 55), False), ((6, 21, 91), True), ((4, 8, 16), False)],
    ids=["one value", "five values", "six values", "four patients"],
)
def test_as_many_patients_as_the_minimum_share_one_value(sums: tuple[float, ...], passes: bool) -> None:
    expected = expecting(one_number().changed({"statistics.minimum_count": "5"}), {})
    reply = StatisticsReply(
        site="north",
        patients=12,
        moments={"modality:rna": np.array(sums, dtype=np.float64)[:, None]},
        withheld={"modality:rna": 0.0},
    )
    if passes:
        assert fit_statistics(reply, expected).patients == 12
    else:
        assert reason_of(lambda: fit_statistics(reply, expected)) is BlockReason.COUNT


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({}, None),
        ({"count": 2.5}, None),
        ({"count": -0.5}, BlockReason.COUNT),
        ({"squares": -0.5}, BlockReason.COUNT),
        ({"count": 0.0}, BlockReason.COUNT),
        ({"withheld": 1.0}, BlockReason.METRICS),
        ({"patients": 12}, BlockReason.COUNT),
        ({"count": math.inf}, BlockReason.NOT_FINITE),
    ],
)
def test_noised_sums_need_no_minimum_and_no_number_of_patients(
    changes: dict[str, float], reason: BlockReason | None
) -> None:
    privacy = PRIVACY.model_copy(update={"statistics": "noised"})
    federation = with_privacy(one_number(), privacy)
    expected = expecting(federation, {})
    given_ = {"count": 1.25, "squares": 5.5, "withheld": 0.0, "patients": 1, **changes}
    reply = StatisticsReply(
        site="north",
        patients=int(given_["patients"]),
        moments={"modality:rna": np.array([[given_["count"]], [-2.5], [given_["squares"]]])},
        withheld={"modality:rna": given_["withheld"]},
    )
    if reason is None:
        assert fit_statistics(reply, expected).patients == 1
        return
    assert reason_of(lambda: fit_statistics(reply, expected)) is reason


def test_declared_statistics_are_empty(small_federation: Federation) -> None:
    expected = held(small_federation, privacy=PRIVACY.model_copy(update={"statistics": "declared"}))
    nothing = StatisticsReply(site="north", patients=1, moments={}, withheld={})
    assert fit_statistics(nothing, expected) == nothing
    sums = {"modality:rna": np.full((3, 2), 9.0)}
    some = StatisticsReply(site="north", patients=1, moments=sums, withheld={"modality:rna": 0.0})
    assert reason_of(lambda: fit_statistics(some, expected)) is BlockReason.ARRAY_NAMES


def test_an_evaluation_is_of_enough_patients_or_of_nobody(small_federation: Federation) -> None:
    expected, asked = held(small_federation), request_of()
    pairs = {
        f"{kind}:{task.name}": 9.0 for task in small_federation.tasks for kind in ("concordant", "comparable")
    }
    sums = {"validation_loss": 2.0, "validation_patients": 3.0, **pairs}

    def evaluated(**changes: float) -> EvaluateReply:
        return EvaluateReply(site="north", round=2, metrics={**sums, **changes})

    fitted, suppressed = fit_evaluation(evaluated(), asked, expected)
    assert (fitted.metrics, suppressed) == (sums, ())
    nobody = EvaluateReply(site="north", round=2, metrics={})
    assert fit_evaluation(nobody, asked, expected) == (nobody, ())
    few, suppressed = fit_evaluation(
        evaluated(**{"comparable:survival": 2.0, "concordant:survival": 1.0}), asked, expected
    )
    assert suppressed == ("survival",)
    assert few.metrics == {**sums, "comparable:survival": 0.0, "concordant:survival": 0.0}
    for changes in ({"validation_patients": 2.0}, {"validation_patients": 3.5}):
        reply = evaluated(**changes)
        assert reason_of(partial(fit_evaluation, reply, asked, expected)) is BlockReason.COUNT
    for changes in (
        {"validation_loss": 2.5},
        {"validation_loss": -1.0},
        {"validation_loss": 37.0},
        {"concordant:survival": 1.5},
        {"comparable:survival": 9.5},
        {"concordant:survival": 10.0},
        {"concordant:survival": -1.0},
        {CANARY: 1.0},
        {"training_loss": 0.5},
    ):
        reply = evaluated(**changes)
        assert reason_of(partial(fit_evaluation, reply, asked, expected)) is BlockReason.METRICS
    secret = held(small_federation, privacy=PRIVACY)
    assert reason_of(lambda: fit_evaluation(evaluated(), asked, secret)) is BlockReason.METRICS


@pytest.mark.parametrize(
    ("task", "least", "fewest"),
    [("survival", 3, 3), ("survival", 5, 10), ("response", 3, 9), ("toxicity", 5, 25), ("survival", 1, 1)],
)
def test_pairs_are_told_if_enough_patients_of_each_kind_can_make_them(
    small_federation: Federation, task: str, least: int, fewest: int
) -> None:
    expected, asked = held(small_federation, least), request_of()
    enough = {
        f"{kind}:{each.name}": 99.0
        for each in small_federation.tasks
        for kind in ("concordant", "comparable")
    }
    sums = {"validation_loss": 2.0, "validation_patients": 9.0, **enough}
    for pairs in {fewest, fewest - 1} - {0}:
        told = {**sums, f"concordant:{task}": 1.0, f"comparable:{task}": float(pairs)}
        fitted, suppressed = fit_evaluation(
            EvaluateReply(site="north", round=2, metrics=told), asked, expected
        )
        assert suppressed == (() if pairs == fewest else (task,))
        left = told if pairs == fewest else {**told, f"concordant:{task}": 0.0, f"comparable:{task}": 0.0}
        assert fitted.metrics == left


def test_the_hospitals_own_minimum_count_holds_at_the_gate(small_federation: Federation) -> None:
    agreed = small_federation.changed({"statistics.minimum_count": "1"})
    expected = expecting(agreed, SHAPES, least=9)
    reply = training_of(expected)  # eight patients behind each group
    assert reason_of(lambda: fit_training(reply, request_of(), expected)) is BlockReason.COUNT
    sums = StatisticsReply(site="north", patients=8, moments={}, withheld={})
    bare = agreed.model_copy(update={"modalities": (), "tasks": ()})
    expected = expecting(bare, {}, least=9)
    assert reason_of(lambda: fit_statistics(sums, expected)) is BlockReason.COUNT
