"""Reconciliation of a site's receipts with the messages that the coordinator countersigned.

Each statement of the coordinator is kept as it came, in a lasting log of the site. It shows an auditor, who has the
coordinator's certificate, that the messages arrived. Messages that were lost on the way are in the receipts alone. A
message that the receipts lack says that they were set back, perhaps with everything else on the machine.
"""

import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field

from client.chained_log.lines import whole_lines
from client.chained_log.site_log import SiteLog
from client.site_folder.keys import read_public_key
from client.site_folder.places import Home
from common.countersignature import CountersignatureError, Received, read_countersigned
from common.counting import counted
from common.errors import Refusal, RefusalCode, UnreadableFileError
from common.node_keys import fingerprint

log = logging.getLogger("consilium.receipts")


LOG = "countersigned"
"""Name of the log in `SITE/records`."""


class Countersigned(BaseModel):
    """Entry of the log: a coordinator's statement, or the hospital's note on lacking receipts.

    Attributes:
        at: when, ISO 8601 in UTC.
        key: fingerprint of the node key.
        statement: as it came, signed; empty in a note.
        note: what the hospital wrote.
        count: number of messages in the statement, or in the last one before the note.
        missing: number of messages that the receipts lack and the hospital has accepted as lost, all together.
        pending: whether a note also accepts what the next statement shows to be missing, because receipts were lost
            of which the coordinator may have told nothing yet.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: str
    key: str
    statement: str = ""
    note: str = ""
    count: int = Field(ge=0)
    missing: int = Field(default=0, ge=0)
    pending: bool = False


@dataclass(frozen=True)
class Reconciliation:
    """Receipts beside the last statement about them.

    Attributes:
        received: the statement.
        number: of the receipt of the last message that the coordinator has; None if there is none.
        missing: number of messages that the receipts lack and nobody accepted as lost.
        ahead: number of messages that passed the gate after that receipt or never arrived.
    """

    received: Received
    number: int | None
    missing: int
    ahead: int


def check_countersignature(home: Home, statement: object) -> None:
    """Keep the statement of a run's first request, and hold the receipts against it.

    Without the certificate of a coordinator, as in a simulation, there is nothing to check.

    Args:
        home: the site folder.
        statement: as it came.

    Raises:
        Refusal: REQUEST_INVALID if the coordinator did not sign it for this node key, RECEIPTS_BEHIND if the
            receipts lack a message of it; and as `SiteLog`.
        InputError: if a key or certificate of the site cannot be read.
    """
    if not home.authority.exists():
        return
    key = fingerprint(read_public_key(home.public_key))
    try:
        received = read_countersigned(statement, _authority(home))
    except CountersignatureError as error:
        log.warning("the coordinator's count of messages %s", error)
        raise Refusal(RefusalCode.REQUEST_INVALID) from None
    if received.key != key:
        log.warning("the coordinator's count of messages is another hospital's")
        raise Refusal(RefusalCode.REQUEST_INVALID)
    with _log(home).opened() as record:
        entries = _of_key(record.contents, key)
        statements = [entry.statement for entry in entries if entry.statement]
        if not statements or _read(home, statements[-1]).digest != received.digest:
            now = datetime.now(UTC).isoformat()
            record.append(Countersigned(at=now, key=key, statement=str(statement), count=received.count))
        if (accepted := _accepted(entries)).pending:
            entries = [*entries, _settled(home, received, entries, accepted)]
            record.append(entries[-1])
    reconciliation = reconcile(home, received, entries)
    if reconciliation.missing:
        log.error(
            "the coordinator has %s of this hospital, and the receipts lack %d of them at the least: "
            "they were set back; see `consilium site receipts`",
            *(counted(received.count, "message"), reconciliation.missing),
        )
        raise Refusal(RefusalCode.RECEIPTS_BEHIND)
    if reconciliation.ahead:
        log.info(
            "receipted, and not counted by the coordinator: %s", counted(reconciliation.ahead, "message")
        )


def reconcile(home: Home, received: Received, entries: Sequence[Countersigned]) -> Reconciliation:
    """Hold the receipts against a statement; what the hospital accepted as lost is not missing.

    Messages that never arrived are in the receipts alone: fewer receipts than messages say that some are missing, and
    so does a last message without a receipt. Those before it are chained to it.
    """
    passed, accepted = _passed(home), _accepted(entries)
    last = (received.run, received.sha256)
    number = next((number for number, message in reversed(passed) if message == last), None)
    missing = received.count - len(passed) - accepted.missing
    if (
        received.count <= accepted.count
    ):  # nothing new since the hospital accepted the loss, or since the beginning
        missing = 0
    elif number is None:
        missing = max(missing, 1)
    ahead = len(passed) + accepted.missing - received.count
    return Reconciliation(received, number, max(missing, 0), max(ahead, 0))


def last_reconciliation(home: Home) -> Reconciliation | None:
    """Reconcile the receipts with the last statement; None before the first one.

    Raises:
        Refusal: as `SiteLog`.
        InputError: if a key or certificate of the site cannot be read, or a statement is not the coordinator's.
    """
    if not _log(home).path.exists():
        return None
    entries = _of_key(_log(home).contents(), fingerprint(read_public_key(home.public_key)))
    statements = [entry.statement for entry in entries if entry.statement]
    return reconcile(home, _read(home, statements[-1]), entries) if statements else None


def accept_missing(home: Home, note: str, set_back: bool = False) -> bool:
    """Accept that the receipts lack messages of the last statement, with a note.

    Receipts that were set back may also lack messages of a statement that has not come yet. The note then accepts those
    that the next one shows, so that a run need not be refused first.

    Args:
        home: the site folder.
        note: what happened.
        set_back: whether receipts were lost, or restored from an older copy.

    Returns:
        Whether they lack any of the last statement.

    Raises:
        Refusal, InputError: as `last_reconciliation`.
    """
    reconciliation = last_reconciliation(home)
    lacking = 0 if reconciliation is None else reconciliation.missing
    awaits = set_back and home.authority.exists()
    if not (lacking or awaits):
        return False
    key = fingerprint(read_public_key(home.public_key))
    with _log(home).opened() as record:
        before = _accepted(_of_key(record.contents, key))
        record.append(
            Countersigned(
                at=datetime.now(UTC).isoformat(),
                key=key,
                note=note,
                count=before.count if reconciliation is None else reconciliation.received.count,
                missing=before.missing + lacking,
                pending=awaits,
            )
        )
    return bool(lacking)


def _settled(
    home: Home, received: Received, entries: Sequence[Countersigned], accepted: Countersigned
) -> Countersigned:
    """Make the note that accepts what the first statement after a loss shows to be missing."""
    lacking = reconcile(home, received, entries).missing
    if lacking:
        log.warning(
            "the receipts lack %s that the coordinator has, as acknowledged on %s",
            *(counted(lacking, "message"), accepted.at[:10]),
        )
    return accepted.model_copy(
        update={
            "at": datetime.now(UTC).isoformat(),
            "count": received.count,
            "missing": accepted.missing + lacking,
            "pending": False,
        }
    )


def _accepted(entries: Sequence[Countersigned]) -> Countersigned:
    """Last note of the hospital."""
    nothing = Countersigned(at="", key="", count=0)
    return next((entry for entry in reversed(entries) if entry.note), nothing)


def _log(home: Home) -> SiteLog[Countersigned]:
    return SiteLog(home.folder, LOG, Countersigned)


def _of_key(entries: Sequence[Countersigned], key: str) -> list[Countersigned]:
    return [entry for entry in entries if entry.key == key]


def _authority(home: Home) -> ec.EllipticCurvePublicKey:
    try:
        key = x509.load_pem_x509_certificate(home.authority.read_bytes()).public_key()
    except ValueError:
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey):
        what = "holds no certificate of a coordinator"
        raise UnreadableFileError(str(home.authority), what, "ask the coordinator for ca.crt")
    return key


def _read(home: Home, statement: str) -> Received:
    try:
        return read_countersigned(statement, _authority(home))
    except CountersignatureError:
        what = "is not the certificate of the coordinator that countersigned the receipts"
        raise UnreadableFileError(str(home.authority), what, "ask the coordinator for ca.crt") from None


def _passed(home: Home) -> list[tuple[int, tuple[str, str]]]:
    """(number, (run, SHA-256)) of the messages that passed the gate.

    One that left again is there once. The chain of receipts is checked elsewhere.
    """
    passed: dict[tuple[str, str], int] = {}
    for line in whole_lines(home.receipts)[0]:
        try:
            receipt = json.loads(line)["receipt"]
            if receipt["verdict"] == "passed":
                message = (str(receipt["run"]), str(receipt["sha256"]))
                passed.setdefault(message, int(receipt["number"]))
        except (ValueError, TypeError, KeyError):  # no message can be added to such receipts
            continue
    return [(number, message) for message, number in passed.items()]
