"""Questions of a run: each is answered once, in order, on one scaling, in approved runs.

What was asked lies in the privacy ledger, whose chain and copies show a record that was taken away or put back from an
older copy. An approval is noted there too, and begins the count of runs anew. A run is what the coordinator names
(`common.messages.run_identity`): whichever it is, it counts.

A run asks for statistics, then for rounds in rising order, then for one evaluation, and last for an assessment of
weights that it sent before. A question that was asked before, or that comes before one that was, is refused: answers
of different models to one round, or of fresh noise, would tell more than was approved. The last request may come again
word for word: it gets the reply that was kept (`client.rounds.kept_reply`), and nothing here is asked. Where none was
kept, as in a process that was killed before it answered, an answer that is the same each time is computed anew.
"""

from collections.abc import Sequence

from client.ledger.asked import asked_since_approval, runs_since_approval
from client.ledger.entries import AskedQuestion, Entry
from common.errors import Refusal, RefusalCode


def earlier_question(
    entries: Sequence[Entry],
    federation: str,
    question: AskedQuestion,
    most_runs: int,
    stays_the_same: bool = False,
) -> AskedQuestion | None:
    """Return the run's question with weights before this one; None if this is the first.

    Args:
        entries: of the ledger.
        federation: digest of the federation file.
        question: to be answered.
        most_runs: of the file, per approval.
        stays_the_same: whether a second answer to the last question would be the first one again.

    Raises:
        Refusal: ROUND_ANSWERED if it was answered for other weights, QUESTION_REPEATED if it or a later one was
            answered, INPUT_UNAPPROVED if fold or scaling are not those
            of the run, DECLINED_RUNS if the run is one too many.
    """
    if not _is_approved_since_loss(entries, federation):
        raise Refusal(RefusalCode.DECLINED_RUNS)
    mine = [
        before for before in asked_since_approval(entries, federation) if before.run_id == question.run_id
    ]
    if any(before.fold != question.fold for before in mine):
        raise Refusal(RefusalCode.INPUT_UNAPPROVED)
    if mine and _place(question) <= _place(mine[-1]):
        if any(_is_for_other_weights(question, before) for before in mine):
            raise Refusal(RefusalCode.ROUND_ANSWERED)
        if not stays_the_same or question != mine[-1]:
            raise Refusal(RefusalCode.QUESTION_REPEATED)
    runs = runs_since_approval(entries, federation)
    if question.run_id not in runs and len(runs) >= most_runs:
        raise Refusal(RefusalCode.DECLINED_RUNS)
    last = mine[-1] if mine and mine[-1].kind != "statistics" else None
    if last is not None and last.scaling != question.scaling:
        raise Refusal(RefusalCode.INPUT_UNAPPROVED)
    return last


def _is_for_other_weights(question: AskedQuestion, before: AskedQuestion) -> bool:
    """Whether the same round was asked for with other weights."""
    same = (question.kind, question.round) == (before.kind, before.round)
    return same and question.kind == "train" and question.weights != before.weights


def _place(question: AskedQuestion) -> tuple[int, int]:
    """Place in a run; all evaluations have one, behind all rounds."""
    if question.kind == "evaluate":
        return 1, 0
    return (2 if question.kind == "assessment" else 0), question.round


def was_sent(entries: Sequence[Entry], federation: str, run_id: int, weights: str) -> bool:
    """Return whether a run has sent weights of this digest in a round or an evaluation."""
    return any(
        question.run_id == run_id and question.weights == weights and question.kind != "assessment"
        for question in asked_since_approval(entries, federation)
    )


def _is_approved_since_loss(entries: Sequence[Entry], federation: str) -> bool:
    """Whether no loss was acknowledged after the last approval, since which runs are not known."""
    for entry in reversed(entries):
        if entry.kind == "acknowledged":
            return False
        if entry.kind == "approved" and entry.run == federation:
            return True
    return True
