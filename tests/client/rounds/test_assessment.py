import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from client.chained_log.site_log import SiteLog
from client.disclosures.disclosure import DisclosureEntry
from client.disclosures.record import NAME
from client.rounds.assembly import close_sites
from client.rounds.split import split
from common.errors import RefusalCode
from common.messages.exchange import (
    ASSESSMENT,
    AssessmentReply,
    AssessmentRequest,
    ModelRequest,
    RefusalReply,
    is_refusal,
)

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
    assert np.array_equal(answer(hospital, second).sums["values"], squares)  # the kept reply, again
    other = second.model_copy(update={"asked": {"center": 2 * mean}})
    assert refused(hospital, other) == RefusalCode.QUESTION_REPEATED
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


def held_out(hospital: "Hospital", whose: str) -> list[int]:
    """Rows of the patients who calibrate, or validate."""
    parts = split(len(hospital.site.outcomes), hospital.federation.training)
    rows: list[int] = getattr(parts, whose).tolist()
    return rows


def come_in_place_of(hospital: "Hospital", row: int) -> None:
    """Put a new patient in all tables in the place of another."""
    for table in (hospital.site.outcomes, hospital.site.clinical, hospital.site.rna):
        table.loc[row, "patient"] = "newcomer"
    hospital.write()
    close_sites()


def corrected(hospital: "Hospital", row: int) -> None:
    """Change the outcome of a patient."""
    hospital.site.outcomes.loc[row, "died"] = 1 - hospital.site.outcomes.loc[row, "died"]
    hospital.write()
    close_sites()


def in_another_run(hospital: "Hospital", request: AssessmentRequest, moved: bool) -> RefusalCode | None:
    """Ask the same question in another run, about the same weights or a little other ones, after their round."""
    hospital.begin_run()
    weights = dict(request.weights)
    if moved:
        name = "heads.survival.bias"
        weights[name] = np.nextafter(weights[name], np.float32(1.0))
    model = ModelRequest(
        federation=request.federation,
        round=1,
        fold=request.fold,
        seed=hospital.federation.training.seed,
        weights=weights,
        preprocessing=request.preprocessing,
    )
    content = hospital.ask("train", model.to_record())
    if not is_refusal(content):
        again = request.model_copy(update={"weights": weights})
        content = hospital.ask(ASSESSMENT, again.to_record(), same_run=True)
    return RefusalReply.from_record(content).code if is_refusal(content) else None


@pytest.mark.attack
@pytest.mark.parametrize("moved", [False, True])
@pytest.mark.parametrize("change", [come_in_place_of, corrected])
@pytest.mark.parametrize("whose", ["calibration", "validation", "test"])
def test_a_set_that_differs_by_a_patient_is_refused(
    hospital: "Hospital",
    caplog: Any,
    attack_row: Callable[..., None],
    whose: str,
    change: Callable[..., None],
    moved: bool,
) -> None:
    """Another approved run, after a held-out patient came for another, or had the outcome corrected."""
    fraction = {"training__test_fraction" if whose == "test" else "training__calibration_fraction": "0.25"}
    hospital.change(**fraction, statistics__minimum_count="3")
    hospital.site.outcomes["died"] = 1
    hospital.write()
    first = hospital.assessment()
    answer(hospital, first)
    assert in_another_run(hospital, first, moved) is None
    change(hospital, held_out(hospital, whose)[0])
    code = in_another_run(hospital, first, moved)
    what = f"a {whose} patient {change.__name__.replace('_', ' ')}, weights moved: {moved}"
    attack_row(f"sums about a model again after {what}", "disclosure-differs", code)
    assert code == RefusalCode.DISCLOSURE_DIFFERS
    hospital.assert_quiet(caplog.text)
    with SiteLog(hospital.folder, NAME, DisclosureEntry).opened() as record:
        names = [cell for entry in record.contents for cell in entry.cells]
    assert any(name.startswith("assessment counting 0 ") for name in names)
    assert "CANARY" not in json.dumps(names)


def test_a_question_follows_all_rounds_in_order_and_within_the_run(hospital: "Hospital") -> None:
    nodes = len(hospital.federation.modalities[0].nodes)
    first = hospital.assessment()
    second = first.model_copy(update={"number": 1, "asked": {"center": np.zeros(nodes)}})
    for changes in (
        {"fold": 0},
        {"preprocessing": {name: array * np.float32(1.5) for name, array in first.preprocessing.items()}},
        {"weights": {**first.weights, "heads.survival.bias": first.weights["heads.survival.bias"] + 1}},
    ):
        assert refused(hospital, second.model_copy(update=changes)) == RefusalCode.INPUT_UNAPPROVED
    answer(hospital, second)
    assert refused(hospital, first) == RefusalCode.QUESTION_REPEATED


def test_a_run_too_many_is_declined(hospital: "Hospital") -> None:
    hospital.site.site["policy"] = {"maximum_runs": 1}
    hospital.write()
    first = hospital.assessment()
    answer(hospital, first)
    assert in_another_run(hospital, first, False) == RefusalCode.DECLINED_RUNS


@pytest.mark.parametrize("spoil", ["huge", "infinite", "single", "more", "shape"])
def test_an_array_that_honest_sums_cannot_give_is_refused(hospital: "Hospital", spoil: str) -> None:
    nodes = len(hospital.federation.modalities[0].nodes)
    center = {
        "huge": np.full(nodes, 1e308),
        "infinite": np.full(nodes, -np.inf),
        "single": np.zeros(nodes, dtype=np.float32),
        "more": np.zeros(nodes),
        "shape": np.zeros((1, nodes)),
    }[spoil]
    asked = {"center": center} | ({"other": center} if spoil == "more" else {})
    second = hospital.assessment().model_copy(update={"number": 1, "asked": asked})
    assert refused(hospital, second) == RefusalCode.REQUEST_INVALID


def test_the_order_in_memory_is_no_matter(hospital: "Hospital") -> None:
    nodes = len(hospital.federation.modalities[0].nodes)
    request = hospital.assessment()
    weights = {name: np.asfortranarray(array) for name, array in request.weights.items()}
    center = np.zeros(2 * nodes)[::2]
    second = request.model_copy(update={"number": 1, "asked": {"center": center}, "weights": weights})
    assert answer(hospital, second).patients == 3


def test_a_corrected_outcome_is_seen_where_its_code_stays(
    hospital: "Hospital", monkeypatch: pytest.MonkeyPatch
) -> None:
    """One code in 255 is the same of two values; the sums in the record then differ."""

    def same(values: Any, seen: Any, names: Any, key: bytes) -> Any:
        return seen.astype(np.uint8)

    monkeypatch.setattr("client.rounds.exact.codes_of", same)
    hospital.change(training__calibration_fraction="0.25", statistics__minimum_count="3")
    hospital.site.outcomes["died"] = 1
    hospital.write()
    first = hospital.assessment()
    answer(hospital, first)
    corrected(hospital, held_out(hospital, "calibration")[0])
    assert in_another_run(hospital, first, moved=True) == RefusalCode.DISCLOSURE_DIFFERS


def test_a_training_patient_who_changes_after_the_last_round_is_seen(hospital: "Hospital") -> None:
    hospital.site.outcomes["died"] = 1
    hospital.change(statistics__minimum_count="3")
    hospital.write()
    first = hospital.assessment()
    corrected(hospital, held_out(hospital, "training")[0])
    assert refused(hospital, first) == RefusalCode.DISCLOSURE_DIFFERS
