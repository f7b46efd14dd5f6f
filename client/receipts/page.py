"""Receipts of a hospital as a self-contained HTML page, as JSON and as lines."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from client.receipts.countersigned import last_reconciliation
from client.receipts.receipt import Receipt, VerifiedReceipts
from client.receipts.sheet import render
from client.receipts.verification import NOT_CONFIRMED, verify_at_site
from client.site_folder.keys import read_public_key
from client.site_folder.places import Home
from client.site_folder.site_file import parse_site_file
from common.counting import are, counted
from common.errors import escaped
from common.node_keys import fingerprint

KINDS = {
    "StatisticsReply": "sums over training patients",
    "TrainReply": "model weights after training",
    "UpdateReply": "change of the model weights by training, compressed",
    "EvaluateReply": "how the model did, summed",
    "AssessmentReply": "sums about the trained model",
    "RefusalReply": "a refusal code",
    "Error": "a fixed sentence",
}


VERDICTS = {
    "passed": "passed the gate",
    "refused": "were refusals",
    "failed": "were failures",
    "blocked": "were held back",
}


NOT_COUNTED_OUTSIDE = f"But {NOT_CONFIRMED}: an older copy would look the same."


def read_receipts(home: Home) -> VerifiedReceipts:
    """Read and verify the site's receipts; none before the first message.

    Where nothing outside counts them, as for another user, the record of countersignatures is not read either.

    Raises:
        InputError: if they are not as they were written, or behind the count outside the site folder.
        Refusal: if the record of countersignatures is not as it should be.
    """
    verified = verify_at_site(home.receipts, read_public_key(home.public_key))
    unconfirmed = verified.outside is None and verified.receipts
    reconciliation = None if unconfirmed else last_reconciliation(home)
    if reconciliation is None:
        return verified
    return replace(verified, countersigned=reconciliation.number, missing=reconciliation.missing)


def page(home: Home, verified: VerifiedReceipts) -> str:
    """Write one HTML page, without anything loaded from elsewhere."""
    return render(
        site=parse_site_file(home.folder).name,
        receipts=verified.receipts,
        kinds=KINDS,
        counts=_counts(verified.receipts),
        state=verification_text(verified),
        key=fingerprint(read_public_key(home.public_key)),
    )


def _counts(receipts: Sequence[Receipt]) -> str:
    """State how many messages left, when, and with which verdicts."""
    counts: Counter[str] = Counter(receipt.verdict for receipt in receipts)
    total = sum(receipt.size_bytes for receipt in receipts)
    when = f", from {receipts[0].at[:10]} to {receipts[-1].at[:10]}" if receipts else ""
    verdicts = ", ".join(f"{counts[verdict]} {words}" for verdict, words in VERDICTS.items())
    return f"{len(receipts)} messages, {total:,} bytes in all{when}: {verdicts}."


def verification_text(verified: VerifiedReceipts) -> str:
    """Write the outcome of verification in sentences."""
    count = counted(len(verified.receipts), "receipt")
    if not verified.receipts and not verified.missing:
        return f"{count}, and none is counted outside the folder."
    sentences = [f"{count}: chain, signatures and end are whole."]
    if verified.outside is None:
        sentences.append(NOT_COUNTED_OUTSIDE)
    elif verified.outside < len(verified.receipts):
        last = len(verified.receipts) - verified.outside
        sentences.append(f"The last {last} {are(last)} not yet counted outside the folder.")
    if verified.beyond_head:
        last = verified.beyond_head
        sentences.append(
            f"The last {last} came before a crash and {are(last)} not yet counted in the head file."
        )
    if verified.countersigned is not None:
        sentences.append(f"The coordinator has countersigned them up to number {verified.countersigned}.")
    if verified.missing:
        sentences.append(
            f"The coordinator has messages that they lack, {verified.missing} at the least: they were set back."
        )
    return " ".join(sentences)


def as_data(verified: VerifiedReceipts) -> list[dict[str, Any]]:
    """Receipts as plain data."""
    return [receipt.model_dump(mode="json") for receipt in verified.receipts]


def as_lines(receipts: Sequence[Receipt]) -> list[str]:
    """Write a line per receipt."""
    return [_line(receipt) for receipt in receipts]


def _line(receipt: Receipt) -> str:
    parts = [f"{receipt.number:>5}", receipt.at[:19], receipt.verdict, escaped(receipt.message)]
    parts += [] if receipt.round is None else [f"round {receipt.round}"]
    parts += [escaped(receipt.reason)] if receipt.reason else []
    parts.append(f"{receipt.size_bytes:,} bytes")
    if receipt.update_norm is not None:
        parts.append(f"update norm {receipt.update_norm:.4g}")
    if receipt.epsilon_before is not None and receipt.epsilon_after is not None:
        parts.append(f"epsilon {receipt.epsilon_before:.3f} -> {receipt.epsilon_after:.3f}")
    return "  ".join(parts)
