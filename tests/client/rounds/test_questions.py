"""A run's questions are answered once each, in order, and in as many runs as were approved."""

import pytest

from client.ledger.asked import runs_since_approval
from client.ledger.entries import AskedQuestion, Entry
from client.rounds.questions import earlier_question, was_sent
from common.errors import Refusal, RefusalCode

FILE = "f" * 64


def asked(*questions: AskedQuestion, first: str = "opened", approved: tuple[int, ...] = ()) -> list[Entry]:
    """Entries of a ledger with these questions, with an approval before those at these places."""
    entries = [Entry(number=1, at="", kind="opened" if first == "opened" else "acknowledged")]
    for place, question in enumerate(questions):
        if place in approved:
            entries.append(Entry(number=len(entries) + 1, at="", kind="approved", run=FILE))
        entries.append(Entry(number=len(entries) + 1, at="", kind="asked", run=FILE, question=question))
    if len(questions) in approved:
        entries.append(Entry(number=len(entries) + 1, at="", kind="approved", run=FILE))
    return entries


def statistics(run: int = 1, fold: int = -1, costs: bool = False) -> AskedQuestion:
    return AskedQuestion(run_id=run, kind="statistics", round=0, fold=fold, costs=costs)


def train(round_: int, run: int = 1, fold: int = -1, scaling: str = "s") -> AskedQuestion:
    return AskedQuestion(
        run_id=run, kind="train", round=round_, fold=fold, scaling=scaling, weights=f"w{round_}"
    )


def evaluate(round_: int, run: int = 1) -> AskedQuestion:
    return AskedQuestion(run_id=run, kind="evaluate", round=round_, fold=-1, scaling="s", weights="e")


def refused(entries: list[Entry], question: AskedQuestion, runs: int = 1) -> RefusalCode | None:
    try:
        earlier_question(entries, FILE, question, runs)
    except Refusal as refusal:
        return refusal.code
    return None


HONEST = [statistics(), *(train(number) for number in (1, 2, 4)), evaluate(5)]
"""A run in which this hospital missed the third round."""


def test_an_honest_run_is_answered_to_its_end() -> None:
    for place, question in enumerate(HONEST):
        assert refused(asked(*HONEST[:place]), question) is None


@pytest.mark.parametrize(
    "again", [statistics(), train(1), train(3), train(4), train(6), evaluate(5), evaluate(6)]
)
def test_what_a_run_has_asked_or_passed_is_not_answered(again: AskedQuestion) -> None:
    assert refused(asked(*HONEST), again) is RefusalCode.QUESTION_REPEATED


def test_the_weights_asked_last_are_named() -> None:
    assert earlier_question(asked(*HONEST[:3]), FILE, train(4), 1) == train(2)
    assert earlier_question(asked(*HONEST[:1]), FILE, train(1), 1) is None


def test_scaling_and_fold_stay_those_of_the_run() -> None:
    assert refused(asked(*HONEST[:3]), train(3, scaling="other")) is RefusalCode.INPUT_UNAPPROVED
    assert refused(asked(*HONEST[:3]), train(3, fold=0)) is RefusalCode.INPUT_UNAPPROVED
    assert refused(asked(statistics()), train(1, fold=0)) is RefusalCode.INPUT_UNAPPROVED


def test_another_run_is_one_too_many_until_the_file_is_approved_again() -> None:
    for other in (statistics(2), train(1, 2), train(3, 2), evaluate(6, 2)):
        assert refused(asked(*HONEST), other) is RefusalCode.DECLINED_RUNS
        assert refused(asked(*HONEST), other, runs=2) is None
        assert refused(asked(*HONEST, approved=(5,)), other) is None
        assert refused(asked(*HONEST, approved=(0,)), other) is RefusalCode.DECLINED_RUNS


def test_a_run_that_too_few_hospitals_joined_does_not_count() -> None:
    entries = asked(statistics(1), statistics(2))
    assert not runs_since_approval(entries, FILE)
    assert refused(entries, train(1, 3)) is None
    assert refused(asked(statistics(1, costs=True)), statistics(2, costs=True)) is RefusalCode.DECLINED_RUNS


def test_the_runs_of_a_lost_ledger_are_taken_for_used_up() -> None:
    assert refused(asked(first="acknowledged"), train(1)) is RefusalCode.DECLINED_RUNS
    assert refused(asked(first="acknowledged", approved=(0,)), train(1)) is None


def test_a_ledger_that_nothing_confirmed_may_lack_runs() -> None:
    entries = asked(*HONEST[:2], approved=(0,))
    entries.append(Entry(number=len(entries) + 1, at="", kind="acknowledged"))
    assert refused(entries, train(2)) is RefusalCode.DECLINED_RUNS
    entries.append(Entry(number=len(entries) + 1, at="", kind="approved", run=FILE))
    assert refused(entries, train(2)) is None


def test_questions_on_another_file_do_not_matter() -> None:
    entries = asked(*HONEST)
    assert earlier_question(entries, "e" * 64, train(1, 2), 1) is None


def test_weights_are_those_of_a_round_or_the_evaluation_of_the_same_run() -> None:
    told = AskedQuestion(
        run_id=1, kind="assessment", round=0, fold=-1, scaling="s", weights="of an assessment alone"
    )
    entries = asked(*HONEST, told, train(3, run=2))
    assert was_sent(entries, FILE, 1, "w2")
    assert was_sent(entries, FILE, 1, "e")
    assert not was_sent(entries, FILE, 1, "w3"), "these were another run's"
    assert was_sent(entries, FILE, 2, "w3")
    assert not was_sent(entries, FILE, 1, told.weights)
    assert not was_sent(entries, "0" * 64, 1, "w2")
