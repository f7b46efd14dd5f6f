"""Sums about the trained model under privacy."""

from typing import TYPE_CHECKING

import numpy as np
import pytest

from common.errors import RefusalCode
from common.messages.exchange import ASSESSMENT, AssessmentReply, AssessmentRequest
from tests.client.egress.gate_case import private

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def answer(hospital: "Hospital", request: AssessmentRequest) -> AssessmentReply:
    return AssessmentReply.from_record(hospital.ask(ASSESSMENT, request.to_record(), same_run=True))


def refused(hospital: "Hospital", request: AssessmentRequest) -> RefusalCode:
    return hospital.refusal(ASSESSMENT, request.to_record(), same_run=True)


def test_under_privacy_explanations_are_told_once_with_noise(hospital: "Hospital") -> None:
    hospital.change(statistics__explanations="true")
    private(hospital, explanations_noise_multiplier=10.0)
    request = hospital.assessment("explanations")
    reply = answer(hospital, request)
    assert reply.patients == 1
    assert reply.sums["patients"] == pytest.approx(12, abs=150)
    assert reply.sums["patients"] != np.round(reply.sums["patients"])
    again = answer(hospital, request)
    assert {name: array.tobytes() for name, array in again.sums.items()} == {
        name: array.tobytes() for name, array in reply.sums.items()
    }, "the same bytes, and no noise that is drawn anew"
    hospital.begin_run()
    hospital.ask("train", hospital.request().to_record(), same_run=True)
    assert refused(hospital, request) == RefusalCode.DECLINED_BUDGET


@pytest.mark.parametrize("part", ["explanations", "counting"])
def test_under_privacy_nothing_without_noise_is_answered(hospital: "Hospital", part: str) -> None:
    private(hospital)
    assert refused(hospital, hospital.assessment(part)) == RefusalCode.REQUEST_INVALID


def test_under_privacy_a_mean_of_weights_that_no_round_sent_is_answered(hospital: "Hospital") -> None:
    hospital.change(statistics__explanations="true")
    private(hospital, explanations_noise_multiplier=10.0)
    request = hospital.assessment("explanations")
    mean = {name: array * np.float32(0.5) for name, array in request.weights.items()}
    assert answer(hospital, request.model_copy(update={"weights": mean})).patients == 1
