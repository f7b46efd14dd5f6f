"""Lines for a person who follows a run: numbers, and the reason of every missing hospital."""

from typing import TYPE_CHECKING, Any

import pytest

from common.agreement.federation import Federation
from common.errors import REFUSALS, RefusalCode
from common.models.activity import Activity, BranchActivity
from server.records.dropped import ERRORS, REASONS, Dropped, DropReason
from server.records.journal import RoundRecord, RunRecord, SiteRecord
from server.records.wording import exchange_line, idle, left_out, missing, run_line, weights_line, why

if TYPE_CHECKING:
    from tests.server.conftest import Bench

EAST = Dropped(site="east", reason=DropReason.NO_REPLY)
STRANGER = Dropped(node=4711, reason=DropReason.NOT_ENROLLED)


@pytest.fixture
def federation(bench: "Bench") -> Federation:
    return bench.federation(rounds=30)


def round_of(**changes: Any) -> RoundRecord:
    sites = {name: SiteRecord(metrics={}) for name in ("north", "south", "west")}
    record = RoundRecord(kind="train", round=3, seconds=12.34, sites=sites, applied=True)
    return record.model_copy(update=changes)


def run_of(**changes: Any) -> RunRecord:
    record = RunRecord(status="started", federation="four", digest="d", strategy="fedavg", fold=-1, seed=0)
    return record.model_copy(update=changes)


def test_a_round_says_who_replied_and_how_the_model_is(federation: Federation) -> None:
    record = round_of(training_loss=0.123456, validation_loss=2.0, concordance={"os": 0.61234})
    assert exchange_line(record, federation) == (
        "round 3 of 30: 3 hospitals in 12.3 s; training loss 0.1235; validation loss 2; os concordance 0.612"
    )


def test_a_loss_of_zero_is_a_loss_and_an_unknown_one_is_not_told(federation: Federation) -> None:
    assert "training loss 0;" in exchange_line(round_of(training_loss=0.0, validation_loss=1.0), federation)
    assert exchange_line(round_of(), federation) == "round 3 of 30: 3 hospitals in 12.3 s"


def test_an_evaluation_is_no_round(federation: Federation) -> None:
    assert exchange_line(round_of(kind="evaluate", round=31), federation).startswith(
        "evaluation: 3 hospitals"
    )


def test_a_round_that_does_not_count_says_how_many_would_have_been_needed(federation: Federation) -> None:
    record = round_of(sites={}, applied=False, dropped=(EAST, STRANGER))
    assert exchange_line(record, federation) == (
        "round 3 of 30: 0 hospitals in 12.3 s; not counted, 2 hospitals are needed; "
        f"east (no-reply): {REASONS[DropReason.NO_REPLY]}; "
        f"node 4711 (not-enrolled): {REASONS[DropReason.NOT_ENROLLED]}"
    )


@pytest.mark.parametrize("reason", DropReason)
def test_every_reason_has_words(reason: DropReason) -> None:
    assert why(Dropped(site="east", reason=reason)) == f"({reason.value}): {REASONS[reason]}"


def test_an_error_that_flower_reports_has_words_of_its_own() -> None:
    errors = {why(Dropped(site="east", reason=DropReason.ERROR, code=code)) for code in (*ERRORS, "77", None)}
    assert len(errors) == len(ERRORS) + 2
    assert why(Dropped(site="east", reason=DropReason.ERROR, code="8")) == f"(error 8): {ERRORS['8']}"


@pytest.mark.parametrize("code", RefusalCode)
def test_a_hospitals_refusal_is_told_in_the_words_of_its_code(code: RefusalCode) -> None:
    told = left_out(Dropped(site="east", reason=DropReason.REFUSED, code=code.value))
    assert told == f"east refused ({code.value}): {REFUSALS[code]}"


@pytest.mark.parametrize(
    ("reason", "code"),
    [(DropReason.REFUSED, "a-later-code"), (DropReason.ERROR, "77"), (DropReason.ERROR, "internal")],
)
def test_a_code_that_is_no_refusal_is_shown_and_not_interpreted(reason: DropReason, code: str) -> None:
    assert (
        why(Dropped(site="east", reason=reason, code=code)) == f"({reason.value} {code}): {REASONS[reason]}"
    )


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"sites": ("north", "south")}, "2 of 4 hospitals take part: north, south."),
        ({}, "0 of 4 hospitals take part: none."),
        (
            {"status": "failed", "sites": ("north",)},
            "The run failed: 1 of 4 hospitals took part and 2 are needed in every round.",
        ),
        (
            {"status": "completed", "best_round": 7, "best_loss": 0.5},
            "The run is completed: every round had its quorum; kept are the weights of round 7, validation loss 0.5.",
        ),
        (
            {"status": "partial", "best_round": 0, "best_loss": None},
            "The run is partial: some rounds lacked a quorum; kept are the weights of round 0.",
        ),
        (
            {"status": "completed", "best_round": 1, "best_loss": 0.0},
            "The run is completed: every round had its quorum; kept are the weights of round 1, validation loss 0.",
        ),
    ],
)
def test_a_run_in_a_sentence(federation: Federation, changes: dict[str, Any], told: str) -> None:
    assert run_line(run_of(**changes), federation) == told


def test_who_is_missing_as_a_run_starts_is_listed_with_reasons(federation: Federation) -> None:
    record = run_of(sites=("north", "south", "west"), left_out=(EAST, STRANGER))
    assert missing(record, federation) == [
        "1 of 4 hospitals is missing:",
        f"  east (no-reply): {REASONS[DropReason.NO_REPLY]}",
        f"  node 4711 (not-enrolled): {REASONS[DropReason.NOT_ENROLLED]}",
    ]


def test_a_stranger_is_told_of_though_no_hospital_is_missing(federation: Federation) -> None:
    everyone = tuple(participant.name for participant in federation.participants)
    assert missing(run_of(sites=everyone, left_out=(STRANGER,)), federation) == [f"  {left_out(STRANGER)}"]
    assert missing(run_of(sites=everyone), federation) == []


def test_only_a_start_tells_who_is_missing(federation: Federation) -> None:
    assert missing(run_of(status="completed", left_out=(EAST,)), federation) == []


def test_a_file_that_hospitals_decline_for_its_reach_is_told_before_the_run(federation: Federation) -> None:
    assert "decline" in weights_line(federation), "weights of this file may move far"
    training = federation.training.model_copy(update={"learning_rate": 3e-3, "local_epochs": 1})
    usual = federation.model_copy(update={"training": training})
    assert "decline" not in weights_line(usual)
    unsized = tuple(part.model_copy(update={"patients": None}) for part in federation.participants)
    assert "decline" in weights_line(usual.model_copy(update={"participants": unsized}))


@pytest.mark.parametrize(
    ("active", "share", "warned"),
    [(0.9, 0.2, False), (0.3, 0.2, True), (0.9, 0.001, True), (None, None, False)],
)
def test_a_run_that_kept_idle_parts_ends_with_a_warning_that_names_them(
    active: float | None, share: float | None, warned: bool
) -> None:
    branch = BranchActivity(active=active, share={"os": share}, gradient=1.0)
    lines = idle(run_of(status="completed", activity=Activity(branches={"rna": branch}, network={"os": 0.5})))
    assert len(lines) == warned
    assert all("rna" in line for line in lines)
    assert not idle(run_of(status="completed"))
