"""Receipt of a gate's verdict: content of the message that leaves, and its cost."""

import math
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache

from flwr.app import ConfigRecord, Message, RecordDict

from client.egress.gate import Verdict
from client.flower.internals import weigh
from client.ledger.entries import Entry, unit_of
from client.receipts.receipt import Receipt
from common.messages.packing import shapes
from common.messages.run_identity import run_label
from common.privacy.accounting import Release, merged, spend

ERROR = "Error"


LONGEST = 100
"""Characters of a text of the coordinator's that a receipt keeps."""


def receipt_of(
    request: Message,
    verdict: Verdict,
    federation: str,
    entries: Sequence[Entry],
    delta: float | None,
    is_again: bool = False,
) -> Receipt:
    """Make the receipt of the message that leaves, still without a number.

    Args:
        request: what is answered.
        verdict: the gate's.
        federation: digest of the hospital's own copy; empty if it has none.
        entries: of the ledger.
        delta: of the hospital's policy; None without privacy, and no epsilon is computed.
        is_again: whether the same bytes were the answer to the same request before.
    """
    leaving = verdict.message
    content = RecordDict() if leaving.has_error() else leaving.content
    size, digest = weigh(content)
    header = content.config_records.get("header", ConfigRecord())
    round_ = header.get("round")
    before, after = (None, None) if delta is None else _epsilon(entries, verdict.reservation, delta)
    return Receipt(
        run=_run_of(request),
        request=_cut(request.metadata.message_id),
        round=round_ if isinstance(round_, int) else None,
        federation=federation,
        asked=_cut(request.metadata.message_type),
        message=str(header.get("message", ERROR)),
        verdict=verdict.outcome,
        reason=verdict.reason,
        arrays={f"{group}/{name}": shape for group, name, shape in _arrays(header)},
        numbers={
            record: {name: float(number) for name, number in numbers.items() if isinstance(number, float)}
            for record, numbers in content.metric_records.items()
        },
        suppressed=verdict.suppressed,
        size_bytes=size,
        sha256=digest,
        update_norm=verdict.update_norm,
        delta=delta,
        epsilon_before=before,
        epsilon_after=after,
        unit=None if after is None else unit_of(entries),
        reservation=verdict.reservation,
        again=is_again,
    )


def _run_of(request: Message) -> str:
    """Name of the run; Flower's number where the request names none, or has no content."""
    number = request.metadata.run_id
    return run_label(request.content, number) if request.has_content() else str(number)


def _cut(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."


def _arrays(header: ConfigRecord) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """(field of the message, array, shape) of every array behind its manifest."""
    manifest = header.get("manifest")
    if isinstance(manifest, bytes):
        for group, arrays in shapes(manifest).items():
            for name, shape in arrays.items():
                yield group, name, shape


def _epsilon(
    entries: Sequence[Entry], reservation: int | None, delta: float
) -> tuple[float | None, float | None]:
    """(before, after) the reservation; None where there is no bound."""
    after = [release for entry in entries for release in entry.releases]
    before = [release for entry in entries if entry.number != reservation for release in entry.releases]
    return finite_epsilon(before, delta), finite_epsilon(after, delta)


def finite_epsilon(releases: Iterable[Release], delta: float) -> float | None:
    """Return the epsilon of releases, kept for those of the last messages; None if infinite."""
    return _epsilon_of(merged(releases), delta)


@lru_cache(maxsize=4)
def _epsilon_of(releases: tuple[Release, ...], delta: float) -> float | None:
    epsilon = spend(releases, delta).epsilon
    return epsilon if math.isfinite(epsilon) else None
