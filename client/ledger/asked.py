"""Questions in a ledger's entries that count towards the runs of a federation file."""

from collections.abc import Sequence

from client.ledger.entries import AskedQuestion, Entry


def asked_since_approval(entries: Sequence[Entry], federation: str) -> tuple[AskedQuestion, ...]:
    """Return the questions on a federation file since it was approved last, the first one first."""
    questions: list[AskedQuestion] = []
    for entry in entries:
        if entry.run != federation:
            continue
        if entry.kind == "approved":
            questions = []
        elif entry.question is not None:
            questions.append(entry.question)
    return tuple(questions)


def runs_since_approval(entries: Sequence[Entry], federation: str) -> frozenset[int]:
    """Return the runs of a federation file that count since it was approved last.

    Statistics that are the same whenever asked do not make a run: one that too few hospitals joined costs nothing.
    """
    return frozenset(
        question.run_id for question in asked_since_approval(entries, federation) if question.costs
    )
