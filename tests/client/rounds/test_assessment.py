import json
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from client.chained_log.site_log import SiteLog
from client.disclosures.disclosure import DisclosureEntry
from client.disclosures.record import NAME
from common.errors import RefusalCode
from common.messages.exchange import ASSESSMENT, AssessmentReply, AssessmentRequest

if TYPE_CHECKING:
    from tests.client.conftest import Hospital

pytestmark = pytest.mark.usefixtures("counted")


def answer(hospital: "Hospital", request: AssessmentRequest) -> AssessmentReply:
    return AssessmentReply.from_record(hospital.ask(ASSESSMENT, request.to_record(), same_run=True))


def refused(hospital: "Hospital", request: AssessmentRequest) -> RefusalCode:
    return hospital.refusal(ASSESSMENT, request.to_record(), same_run=True)


def test_sums_are_over_those_who_did_not_train(hospital: "Hospital") -> None:
    hospital.change(training__calibration_fraction="0.25")
    reply = answer(hospital, hospital.assessment())
    assert (reply.site, reply.part, reply.number, reply.patients) == ("north", "counting", 0, 6)
    assert float(reply.sums["count"]) == 6
    assert np.abs(reply.sums["values"]).max() > 0


def test_a_question_brings_arrays_of_its_form_or_is_refused(hospital: "Hospital") -> None:
    nodes = len(hospital.federation.modalities[0].nodes)
    first = hospital.assessment()
    mean = answer(hospital, first).sums["values"] / 3
    second = first.model_copy(update={"number": 1, "asked": {"center": mean}})
    assert refused(hospital, second.model_copy(update={"asked": {}})) == RefusalCode.REQUEST_INVALID
    spoilt = {"center": np.full(nodes, np.nan)}
    assert refused(hospital, second.model_copy(update={"asked": spoilt})) == RefusalCode.REQUEST_INVALID
    squares = answer(hospital, second).sums["values"]
    assert np.all(squares >= 0)
    assert squares.sum() > 0
    assert refused(hospital, second) == RefusalCode.QUESTION_REPEATED
    assert refused(hospital, first) == RefusalCode.QUESTION_REPEATED


def test_a_part_that_the_agreement_has_not_is_refused(hospital: "Hospital") -> None:
    for changes in ({"part": "calibrating"}, {"part": "other"}, {"number": 2}):
        request = hospital.assessment(**changes)
        assert refused(hospital, request) == RefusalCode.REQUEST_INVALID


def test_weights_that_no_round_brought_are_refused(hospital: "Hospital") -> None:
    request = hospital.assessment()
    moved = {name: array + np.float32(1e-6) for name, array in request.weights.items()}
    code = refused(hospital, request.model_copy(update={"weights": moved}))
    assert code == RefusalCode.INPUT_UNAPPROVED
    assert answer(hospital, request).patients == 3


def test_a_policy_may_decline_the_whole(hospital: "Hospital") -> None:
    hospital.site.site["policy"] = {"assessment": False}
    hospital.write()
    assert refused(hospital, hospital.assessment()) == RefusalCode.DECLINED_STATISTICS


def test_of_fewer_than_the_minimum_nothing_is_computed(hospital: "Hospital") -> None:
    hospital.change(training__calibration_fraction="0.1", statistics__minimum_count="2")
    request = hospital.assessment("calibrating")
    reply = answer(hospital, request)
    assert reply.patients == 1
    assert not any(array.any() for array in reply.sums.values())


def test_a_set_that_differs_by_a_patient_is_refused(hospital: "Hospital", caplog: Any) -> None:
    """The same weights again, after a patient was added who is held out: in another run, and another question."""
    first = hospital.assessment()
    answer(hospital, first)
    with SiteLog(hospital.folder, NAME, DisclosureEntry).opened() as record:
        names = [cell for entry in record.contents for cell in entry.cells]
    assert any(name.startswith("assessment counting 0 ") for name in names)
    hospital.assert_quiet(caplog.text)
    assert "CANARY" not in json.dumps(names)
