"""Checks of an app's answer about a trained model, spoilt on its way to the gate; with a canary in the tables."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from flwr.app import RecordDict

from client.egress.expected import BlockReason
from client.ledger.ledger import Ledger
from common.messages.exchange import ASSESSMENT, AssessmentReply
from common.privacy.accounting import Release
from tests.client.egress.gate_case import CANARY, NUMBER, Exchange, assert_quiet, exchange, private
from tests.packed import changing

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

counts = pytest.mark.usefixtures("counted")


@pytest.fixture
def answered(hospital: "Hospital") -> Exchange:
    return exchange(hospital, ASSESSMENT)


def _arrays(spoil: Callable[[dict[str, Any]], object]) -> Callable[[RecordDict], None]:
    def spoilt(record: RecordDict) -> None:
        with changing(record) as groups:
            sums = groups["sums"] = {name: array.copy() for name, array in groups["sums"].items()}
            spoil(sums)

    return spoilt


def _header(name: str, value: str | int) -> Callable[[RecordDict], None]:
    def spoilt(record: RecordDict) -> None:
        record.config_records["header"][name] = value

    return spoilt


SPOILT: dict[str, tuple[BlockReason, Callable[[RecordDict], None]]] = {
    "extra": (BlockReason.ARRAY_NAMES, _arrays(lambda sums: sums.update({CANARY: np.zeros(3)}))),
    "missing": (BlockReason.ARRAY_NAMES, _arrays(lambda sums: sums.pop("count"))),
    "renamed": (BlockReason.ARRAY_NAMES, _arrays(lambda sums: sums.update({CANARY: sums.pop("count")}))),
    "longer": (
        BlockReason.ARRAY_FORM,
        _arrays(lambda sums: sums.update(values=np.append(sums["values"], NUMBER))),
    ),
    "single": (
        BlockReason.ARRAY_FORM,
        _arrays(lambda sums: sums.update(values=sums["values"].astype(np.float32))),
    ),
    "not a number": (BlockReason.NOT_FINITE, _arrays(lambda sums: sums["values"].fill(np.nan))),
    "infinite": (BlockReason.NOT_FINITE, _arrays(lambda sums: sums["values"].fill(np.inf))),
    "more than patients add": (BlockReason.SUM, _arrays(lambda sums: sums["count"].fill(NUMBER))),
    "less than nothing": (BlockReason.SUM, _arrays(lambda sums: sums["count"].fill(-1.0))),
    "more patients": (BlockReason.COUNT, _header("patients", 10**9)),
    "a patient fewer": (BlockReason.COUNT, _header("patients", 2)),
    "another site": (BlockReason.WRONG_SITE, _header("site", CANARY)),
    "another part": (BlockReason.MESSAGE_TYPE, _header("part", "calibrating")),
    "another question": (BlockReason.MESSAGE_TYPE, _header("number", 1)),
}


@counts
@pytest.mark.parametrize("fault", list(SPOILT))
def test_an_answer_that_does_not_fit_is_held_back_whole(answered: Exchange, fault: str) -> None:
    reason, spoil = SPOILT[fault]
    content = answered.content()
    spoil(content)
    assert answered.blocked(content) == reason
    assert_quiet(answered.check(content))


@counts
def test_of_fewer_patients_than_the_policy_asks_nothing_but_zeros_leaves(hospital: "Hospital") -> None:
    asked = exchange(hospital, ASSESSMENT, minimum_count=4)
    assert asked.blocked() == BlockReason.COUNT
    content = asked.content()
    _arrays(lambda sums: sums.update({name: np.zeros_like(array) for name, array in sums.items()}))(content)
    assert asked.check(content).outcome == "passed"


@counts
def test_an_honest_answer_leaves_in_one_form_and_without_a_canary(answered: Exchange) -> None:
    verdict = answered.check()
    assert verdict.outcome == "passed"
    assert_quiet(verdict)
    turned = answered.content()
    with changing(turned) as groups:
        groups["sums"] = dict(reversed(list(groups["sums"].items())))
    again = answered.check(turned)
    assert again.outcome == "passed"
    assert again.message.content.object_id == verdict.message.content.object_id


@pytest.fixture
def noised(hospital: "Hospital") -> Exchange:
    hospital.change(statistics__explanations="true")
    return exchange(private(hospital, explanations_noise_multiplier=10.0), ASSESSMENT)


def test_under_privacy_sums_leave_with_the_noise_of_the_gate_alone(noised: Exchange) -> None:
    verdict = noised.check()
    assert verdict.outcome == "passed"
    assert_quiet(verdict)
    reply = AssessmentReply.from_record(verdict.message.content)
    assert (reply.part, reply.patients) == ("explanations", 1)
    assert np.abs(reply.sums["signed"]).max() > 1
    with Ledger(noised.hospital.folder) as ledger:
        assert Release(mechanism="explanations", noise_multiplier=10.0) in ledger.releases()


NOISED: dict[str, tuple[BlockReason, Callable[[RecordDict], None]]] = {
    "another sum": (BlockReason.UNNOISED, _arrays(lambda sums: sums["signed"].fill(0.5))),
    "without noise": (BlockReason.UNNOISED, _arrays(lambda sums: sums.update(patients=np.array([9.0])))),
    "a number of patients": (BlockReason.COUNT, _header("patients", 9)),
    "another part": (BlockReason.MESSAGE_TYPE, _header("part", "calibration")),
    "not a number": (BlockReason.NOT_FINITE, _arrays(lambda sums: sums["absolute"].fill(np.nan))),
}


@pytest.mark.parametrize("fault", list(NOISED))
def test_under_privacy_nothing_else_leaves(noised: Exchange, fault: str) -> None:
    reason, spoil = NOISED[fault]
    content = noised.content()
    spoil(content)
    assert noised.blocked(content) == reason
