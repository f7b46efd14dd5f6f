"""The record of what left the hospital: one receipt per message, chained, signed, and on disk before it leaves.

A receipt is one line of JSON: the receipt, the SHA-256 of the previous hash and the receipt's canonical text, and the
node key's signature of that hash. A head file beside says how many receipts there are and how the last one ends, signed
too: a receipt that was changed, taken out, moved or cut off at the end is noticed by whoever has the public key.
Whoever has the private key can write another history; the coordinator's own journal has the hashes of what it received.
"""

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from client.home import write_whole
from client.keys import PrivateKey, PublicKey, is_signed, sign
from common.errors import InputError

_REMEDY = "compare it with the coordinator's journal and with backups"
_NONE = "0" * 64


class Receipt(BaseModel):
    """What left in answer to one request.

    Attributes:
        number: 1 for the first; 0 until it is appended.
        at: when, ISO 8601 in UTC.
        run: Flower's id of the run, as text: it does not fit a JSON number.
        request: the id of the message that is answered.
        round: of training; None where the request has none.
        federation: digest of the hospital's own copy; empty if it has none.
        asked: the type of the request.
        message: the type of what left.
        verdict: of the gate, with its `reason`.
        arrays: record/name -> shape.
        numbers: record -> name -> number, as they left.
        suppressed: tasks whose pairs were too few to be told.
        size_bytes: of the content as it left.
        sha256: of the content as it left (`client.flower_internals.weigh`).
        update_norm: Euclidean norm of the weights' change.
        epsilon_before, epsilon_after: of everything the ledger counted before this message's own reservation, and
            with it, at `delta`. None without privacy, and where something was released without noise.
        reservation: the ledger's entry behind the message.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    number: int = 0
    at: str = Field(default_factory=lambda: datetime.now(UTC).isoformat())
    run: str
    request: str
    round: int | None = None
    federation: str = ""
    asked: str
    message: str
    verdict: Literal["passed", "refused", "failed", "blocked"]
    reason: str = ""
    arrays: dict[str, tuple[int, ...]] = {}
    numbers: dict[str, dict[str, float]] = {}
    suppressed: tuple[str, ...] = ()
    size_bytes: int
    sha256: str
    update_norm: float | None = None
    delta: float | None = None
    epsilon_before: float | None = None
    epsilon_after: float | None = None
    reservation: int | None = None


@dataclass(frozen=True)
class Verified:
    """Receipts that are whole.

    Attributes:
        receipts: the first one first.
        unwitnessed: how many at the end the head file does not yet count, as after a crash between the two files.
    """

    receipts: tuple[Receipt, ...]
    unwitnessed: int


def append(path: Path, receipt: Receipt, key: PrivateKey) -> Receipt:
    """Add a receipt and its head to the disk; when this returns, both outlast a power cut.

    Any number of processes may append. The last receipts are checked, not all of them: `verify` does that.

    Returns:
        The receipt with its number.

    Raises:
        InputError: if the receipts end otherwise than the head says.
        OSError: if they cannot be written.
    """
    with _alone(path):
        public = key.public_key()
        if not path.exists() and not head_path(path).exists():
            _write_head(path, 0, _NONE, key)
        count, last = _end(path, public)
        numbered = receipt.model_copy(update={"number": count + 1})
        body = numbered.model_dump(mode="json")
        digest = _hash(last, body)
        line = _text({"receipt": body, "hash": digest, "signature": sign(key, digest.encode())}) + "\n"
        with path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        _write_head(path, count + 1, digest, key)
    return numbered


def verify(path: Path, key: PublicKey) -> Verified:
    """Check every receipt, its place, its signature, and that none is missing at the end.

    Raises:
        InputError: with the first thing that is not as it should be.
    """
    head = _read_head(path, key)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        if head is None:
            raise InputError(str(path), "there are no receipts", "name a receipts.jsonl") from None
        lines = [b""]
    if lines.pop() != b"":
        raise InputError(str(path), "the last receipt is cut off", _REMEDY)
    receipts, last = [], _NONE
    for number, line in enumerate(lines, start=1):
        receipt, last = _read_line(path, number, line, last, key)
        receipts.append(receipt)
        if head is not None and head[0] == number and head[1] != last:
            raise InputError(str(path), f"receipt {number} is not the one the head file tells of", _REMEDY)
    if head is None:
        raise InputError(str(head_path(path)), "the head file is missing", _REMEDY)
    if head is not None and head[0] > len(receipts):
        missing = head[0] - len(receipts)
        raise InputError(str(path), f"{missing} receipts are missing at the end", _REMEDY)
    return Verified(tuple(receipts), len(receipts) - (head[0] if head else 0))


def head_path(path: Path) -> Path:
    """The head file of a file of receipts."""
    return path.with_suffix(".head.json")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path.with_suffix(".lock"), os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _end(path: Path, key: PublicKey) -> tuple[int, str]:
    """(receipts, hash of the last), after cutting off a line that a crash left unfinished: it never left.

    Raises:
        InputError: if the head tells of more, or of others.
    """
    head = _read_head(path, key)
    if head is None and path.exists():
        raise InputError(str(head_path(path)), "the head file is missing", _REMEDY)
    counted, last = head or (0, _NONE)
    content = path.read_bytes() if path.exists() else b""
    whole = content.rfind(b"\n") + 1
    lines = content[:whole].split(b"\n")[:-1]
    if counted > len(lines):
        raise InputError(str(path), "receipts are missing at the end", _REMEDY)
    if counted:
        _, found = _read_line(path, counted, lines[counted - 1], None, key)
        if found != last:
            raise InputError(str(path), "the last receipt is not the one the head file tells of", _REMEDY)
    for number, line in enumerate(lines[counted:], start=counted + 1):
        _, last = _read_line(path, number, line, last, key)
    if whole < len(content):
        with path.open("r+b") as file:
            file.truncate(whole)
            os.fsync(file.fileno())
    return len(lines), last


def _read_line(
    path: Path, number: int, line: bytes, previous: str | None, key: PublicKey
) -> tuple[Receipt, str]:
    """(receipt, its hash); without the previous hash its place in the chain is not checked."""
    try:
        entry = json.loads(line)
        body, digest, signature = entry["receipt"], entry["hash"], entry["signature"]
        receipt = Receipt.model_validate_json(json.dumps(body))
        # a line that says the same in other bytes is not the line that was written
        same = line == _text({"receipt": body, "hash": digest, "signature": signature}).encode()
    except (ValueError, TypeError, KeyError, ValidationError):
        same = False
    if not same:
        raise InputError(str(path), f"line {number} is not a receipt", _REMEDY)
    if receipt.number != number:
        raise InputError(str(path), f"receipt {receipt.number} stands in place {number}", _REMEDY)
    if previous is not None and digest != _hash(previous, body):
        raise InputError(str(path), f"receipt {number} was changed, or one before it is missing", _REMEDY)
    if not is_signed(key, str(digest).encode(), str(signature)):
        raise InputError(str(path), f"receipt {number} is not signed by this key", _REMEDY)
    return receipt, digest


def _write_head(path: Path, count: int, digest: str, key: PrivateKey) -> None:
    signature = sign(key, f"{count} {digest}".encode())
    write_whole(head_path(path), _text({"count": count, "hash": digest, "signature": signature}).encode())


def _read_head(path: Path, key: PublicKey) -> tuple[int, str] | None:
    place = head_path(path)
    try:
        head = json.loads(place.read_bytes())
        count, digest, signature = int(head["count"]), str(head["hash"]), str(head["signature"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise InputError(str(place), "is not a head file", _REMEDY) from None
    if not is_signed(key, f"{count} {digest}".encode(), signature):
        raise InputError(str(place), "is not signed by this key", _REMEDY)
    return count, digest


def _hash(previous: str, body: dict[str, Any]) -> str:
    return hashlib.sha256(f"{previous}\n{_text(body)}".encode()).hexdigest()


def _text(data: dict[str, Any]) -> str:
    """The canonical text: keys in order, no spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
