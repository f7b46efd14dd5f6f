"""Page of a hospital's receipts: counts, the record newest first, and how to read it."""

from collections.abc import Iterator, Mapping, Sequence

from markupsafe import Markup

from client.receipts.receipt import Receipt
from common.pages.document import PageSection, document
from common.pages.parts import Importance, code, folded, joined, note, paragraph
from common.pages.table import PageTable, TableCell, table

_WEIGHTS: Mapping[str, Importance] = {"blocked": "danger", "refused": "warning", "failed": "warning"}
_HEADS = (
    *("No.", "When (UTC)", "What left", "Verdict of the gate", "Round", "Bytes", "Change of the weights"),
    *("Epsilon before, after", "Content"),
)
_WORDS = frozenset({1, 2, 3, 7, 8})
"""Columns of words."""

_AGAIN = "the same bytes as before, sent again to a run that was interrupted: nothing was computed"
_RECORDED = (
    "Every message that this hospital's programs hand to the network is recorded here first, newest on top; a message "
    "whose receipt could not be written did not leave, and a message whose receipt was written may have been lost on "
    "its way. Whoever has this hospital's private key and can write all of its files could write another record. The "
    "coordinator keeps the SHA-256 of every statistics, training and evaluation reply that it accepted, to compare "
    "with."
)
_GATE = Markup(
    "The gate stands between the learning program and the network. <em>Passed</em>: the message is exactly what was "
    "approved, and the gate wrote it anew from the values it had checked. <em>Refused</em>: the hospital declined, and "
    "only a code left. <em>Failed</em>: something went wrong, and only a fixed sentence left. <em>Blocked</em>: the "
    "gate held the message back, for the reason given, and only a code left."
)
_FIGURES = (
    "The change of the weights is the Euclidean norm of what training here changed in the model, over all of its "
    "parameters. Epsilon bounds what anyone can learn about one patient from everything this hospital has released; it "
    "grows with every private message. Where the table says not private, the hospital's policy and the federation file "
    "ask for no differential privacy."
)


def render(
    site: str, receipts: Sequence[Receipt], kinds: Mapping[str, str], counts: str, state: str, key: str
) -> str:
    """Write one HTML page, which loads nothing from elsewhere.

    Args:
        site: name of the hospital.
        receipts: the first one first.
        kinds: type of a message -> words for it.
        counts: sentence on how many messages had which verdict.
        state: outcome of verification, in sentences.
        key: fingerprint of the hospital's node key.
    """
    verified = Markup(
        "<strong>{}</strong> Each receipt is chained to the one before and signed with this hospital's node key {}; {} "
        "verifies a copy with the public key alone: nothing in it was changed, taken out or cut off. Only the hospital "
        "itself can see whether the copy is the latest, by the count that it keeps outside this folder."
    ).format(state, code(key), code("consilium receipts verify"))
    newest_first = list(reversed(receipts))
    record = PageTable(
        _HEADS,
        [_row(receipt, kinds) for receipt in newest_first],
        "Messages that left, newest first.",
        name="receipts",
        words=_WORDS,
        warned={
            number: _WEIGHTS[receipt.verdict]
            for number, receipt in enumerate(newest_first)
            if receipt.verdict in _WEIGHTS
        },
    )
    blocked = sum(receipt.verdict == "blocked" for receipt in receipts)
    warnings = [note("The gate held messages back: see the verdicts below.", "danger")] if blocked else []
    sections = [
        PageSection("Messages", [table(record)]),
        PageSection("How to read this", [paragraph(text) for text in (_RECORDED, _GATE, _FIGURES)]),
    ]
    lead = [paragraph(counts), paragraph(verified), *warnings]
    return document(f"What left {site}", sections, kind="Consilium, receipts", lead=lead)


def _row(receipt: Receipt, kinds: Mapping[str, str]) -> tuple[str | Markup | TableCell | None, ...]:
    return (
        str(receipt.number),
        f"{receipt.at[:10]} {receipt.at[11:19]}",
        kinds.get(receipt.message, receipt.message),
        f"{receipt.verdict}: {receipt.reason}" if receipt.reason else receipt.verdict,
        TableCell("" if receipt.round is None else str(receipt.round)),
        TableCell(f"{receipt.size_bytes:,}", receipt.size_bytes),
        TableCell("")
        if receipt.update_norm is None
        else TableCell(f"{receipt.update_norm:.4g}", receipt.update_norm),
        _epsilon(receipt),
        TableCell(_content(receipt), receipt.sha256),
    )


def _epsilon(receipt: Receipt) -> str | Markup:
    if receipt.epsilon_after is not None:
        before = "?" if receipt.epsilon_before is None else f"{receipt.epsilon_before:.3f}"
        spent = f"{before}, {receipt.epsilon_after:.3f}"
        return Markup('{} <span class="quiet">at delta {}</span>').format(spent, f"{receipt.delta:g}")
    if receipt.delta is not None:
        return "no guarantee"
    return Markup('<span class="quiet">not private</span>') if receipt.verdict == "passed" else ""


def _content(receipt: Receipt) -> Markup:
    """Write hash, request, numbers and shapes of a message, behind their count."""
    numbers = sum(map(len, receipt.numbers.values()))
    lines = [
        Markup("SHA-256 {}").format(code(receipt.sha256)),
        Markup("run {}").format(code(receipt.run)),
        Markup("request {}").format(code(receipt.request)),
        Markup("federation {}").format(code(receipt.federation)),
    ]
    lines += [] if receipt.reservation is None else [Markup("ledger entry {}").format(receipt.reservation)]
    lines += [Markup(_AGAIN)] if receipt.again else []
    parts = [paragraph(Markup("<br>").join(lines))]
    if receipt.suppressed:
        parts.append(paragraph(f"Held back, too few patients: {', '.join(receipt.suppressed)}."))
    parts.append(paragraph(Markup("<br>").join(_values(receipt))))
    return folded(f"{len(receipt.arrays)} arrays, {numbers} numbers", joined(parts))


def _values(receipt: Receipt) -> Iterator[str | Markup]:
    for record, numbers in receipt.numbers.items():
        for name, number in numbers.items():
            yield f"{record}, {name}: {number:.6g}"
    for name, shape in receipt.arrays.items():
        yield Markup("array {}: {}").format(code(name), " \N{MULTIPLICATION SIGN} ".join(map(str, shape)))
