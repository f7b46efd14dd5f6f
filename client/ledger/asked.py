"""Questions and refusals in a ledger's entries that count towards the limits of a file.

A refusal tells which check failed, and so something of whatever the check looked at. All of the app's count, which has
seen patients; of the gate's, all but those that follow from the file, the policy and the hospital's own state.
"""

from collections.abc import Sequence

from client.ledger.entries import AskedQuestion, Entry
from common.errors import RefusalCode

UNCOUNTED = frozenset(
    {
        RefusalCode.NOT_APPROVED,
        RefusalCode.FEDERATION_MISMATCH,
        RefusalCode.BUNDLE_FOREIGN,
        RefusalCode.VERSION_MISMATCH,
        RefusalCode.CODE_CHANGED,
        RefusalCode.DECLINED_WITHOUT_PRIVACY,
        RefusalCode.DECLINED_BUDGET,
        RefusalCode.DECLINED_TASK,
        RefusalCode.DECLINED_UNIT,
        RefusalCode.DECLINED_RUNS,
        RefusalCode.DECLINED_REFUSALS,
        RefusalCode.DECLINED_REACH,
        RefusalCode.DECLINED_LINEAR,
        RefusalCode.DECLINED_STATISTICS,
        RefusalCode.LEDGER_MISSING,
        RefusalCode.LEDGER_INVALID,
        RefusalCode.LEDGER_UNCONFIRMED,
        RefusalCode.LEDGER_UNAVAILABLE,
        RefusalCode.RECEIPTS_BEHIND,
        RefusalCode.RECORD_INVALID,
        RefusalCode.RECORD_UNAVAILABLE,
        RefusalCode.DEVICE_UNAVAILABLE,
        RefusalCode.APP_UNAVAILABLE,
        RefusalCode.DISK_FULL,
    }
)
"""Refusals of the gate that do not count: they tell nothing of patients, and the same whatever is asked."""


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


def refusals_since_approval(entries: Sequence[Entry], federation: str) -> int:
    """Count the refused requests on a federation file since it was approved last, of all runs."""
    count = 0
    for entry in entries:
        if entry.run == federation:
            count = 0 if entry.kind == "approved" else count + (entry.kind == "refused")
    return count
