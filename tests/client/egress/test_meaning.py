"""Values of a patient in place of honest ones, in every field of every message that leaves."""

import math
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import Message, MetricRecord, RecordDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel

from client.egress.expected import BlockReason
from client.rounds.assembly import close_sites
from common.messages import exchange as messages
from common.messages.exchange import (
    AssessmentReply,
    EvaluateReply,
    RefusalReply,
    StatisticsReply,
    TrainReply,
    UpdateReply,
)
from common.messages.packing import Arrays
from tests.attacks.attack_table import AttackRow
from tests.client.egress.gate_case import Exchange, exchange, private
from tests.packed import changing

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

PATIENTS_VALUES = st.sampled_from(
    [64.1, 10.18, -4.65, 8371.25, 98765.4321, 1.5e6, 71.0, 88.0, 1979.0, 20_261_126.0, 1e30]
)
"""Ages, measurements, times, years of birth, days and numbers of patients, as tables have them."""


def replies() -> set[type[BaseModel]]:
    """All messages that a hospital can send."""
    kinds = {
        kind for kind in vars(messages).values() if isinstance(kind, type) and issubclass(kind, BaseModel)
    }
    return {kind for kind in kinds if kind.__name__.endswith("Reply") and not kind.__name__.startswith("_")}


def places(kind: type[Any], content: RecordDict) -> Iterator[tuple[str, Callable[[RecordDict, float], None]]]:
    """Every place for a number in a message, found by the fields of its class and what an honest one holds."""
    for field in kind.model_fields:
        if field in kind.arrays:
            with changing(content) as groups:
                for name, array in groups[field].items():
                    for index in np.linspace(0, array.size - 1, min(array.size, 3), dtype=int):
                        yield f"{field}/{name}[{index}]", in_array(field, name, int(index))
        elif field in kind.numbers:
            for name in content.metric_records[field]:
                yield f"{field}/{name}", in_numbers(field, name)
        else:
            yield field, in_header(field)


def in_array(field: str, name: str, index: int) -> Callable[[RecordDict, float], None]:
    def plant(content: RecordDict, value: float) -> None:
        with changing(content) as groups, np.errstate(over="ignore", invalid="ignore"):
            array = groups[field][name].copy()
            array.flat[index] = np.float64(value).astype(array.dtype)
            groups[field][name] = array

    return plant


def in_numbers(field: str, name: str) -> Callable[[RecordDict, float], None]:
    def plant(content: RecordDict, value: float) -> None:
        content[field] = MetricRecord({**dict(content.metric_records[field]), name: value})

    return plant


def in_header(field: str) -> Callable[[RecordDict, float], None]:
    def plant(content: RecordDict, value: float) -> None:
        honest = content.config_records["header"][field]
        content.config_records["header"][field] = (
            str(value) if isinstance(honest, str) else min(int(value), 2**62)
        )

    return plant


KINDS: dict[str, tuple[str, type[Any], dict[str, Any]]] = {
    "statistics": ("query.statistics", StatisticsReply, {}),
    "public statistics": ("query.statistics", StatisticsReply, {"statistics": "public"}),
    "training": ("train", TrainReply, {}),
    "private training": (
        "train",
        TrainReply,
        {"learn": "linear", "learning_rate": 0.1, "noise_multiplier": 1.0},
    ),
    "evaluation": ("evaluate", EvaluateReply, {}),
    "update": ("train", UpdateReply, {"wire": "float16"}),
    "assessment": ("query.assessment", AssessmentReply, {}),
}
MODELS_OWN = ("validation_loss", "training_loss", "concordant:", "comparable:", "sums")
"""Figures of a model, which only a second evaluation could check: they are held to what patients can make."""


@pytest.fixture(params=list(KINDS))
def asked(request: pytest.FixtureRequest, hospital: "Hospital", counted: None) -> tuple[type[Any], Exchange]:
    kind, reply, changes = KINDS[request.param]
    del hospital.site.site["tables"]["rna"]
    hospital.write()
    if "wire" in changes:
        hospital.change(wire__update=changes["wire"])
    elif changes:
        private(hospital, **changes)
    close_sites()
    return reply, exchange(hospital, kind)


def test_every_message_that_leaves_is_tried() -> None:
    assert replies() == {reply for _, reply, _ in KINDS.values()} | {RefusalReply}


@pytest.mark.attack
@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_patients_value_in_any_field_is_blocked_or_changes_nothing(
    asked: tuple[type[Any], Exchange], data: st.DataObject, attack_row: AttackRow
) -> None:
    reply, exchanged = asked
    honest = exchanged.reply.content.object_id
    place, plant = data.draw(st.sampled_from(list(places(reply, exchanged.content()))))
    value = data.draw(PATIENTS_VALUES)
    content = exchanged.content()
    plant(content, value)
    verdict = exchanged.check(content)
    attack_row(f"a patient's value in {reply.__name__}", "blocked, or changes nothing", verdict.outcome)
    if verdict.outcome == "passed" and verdict.message.content.object_id != honest:
        assert any(figure in place for figure in MODELS_OWN), f"{value} in {place} left"


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(value=st.floats(allow_nan=True, allow_infinity=True))
def test_a_refusal_holds_a_site_and_a_code_alone(training: Exchange, value: float) -> None:
    for field in RefusalReply.model_fields:
        content = RefusalReply(site="north", code="internal").to_record()
        content.config_records["header"][field] = str(value)
        verdict = training.check(content)
        assert verdict.outcome == "blocked", field


@pytest.fixture
def training(hospital: "Hospital") -> Exchange:
    return exchange(hospital, "train")


def test_the_reach_of_training_is_within_what_was_measured(hospital: "Hospital") -> None:
    asked = exchange(hospital, "train")
    before, after = (_weights(part) for part in (asked.request, asked.reply))
    moved = max(float(np.abs(after[name].astype(float) - before[name]).max()) for name in after)
    assert asked.check().outcome == "passed"
    for factor in (10.0, -10.0):
        content = asked.content()
        with changing(content) as groups:
            name = "heads.survival.bias"
            groups["weights"][name] = (before[name] + np.float32(factor * moved)).astype(np.float32)
        assert asked.blocked(content) == BlockReason.UPDATE_REACH
    assert math.isfinite(moved)


def _weights(message: Message) -> Arrays:
    with changing(message.content) as groups:
        return groups["weights"]
