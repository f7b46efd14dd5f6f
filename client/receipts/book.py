"""The record of what left the hospital: one receipt per message, chained, signed, and on disk before it leaves.

A receipt is one line of JSON: the receipt, the SHA-256 of the previous hash and the receipt's canonical text, and the
node key's signature of that hash. A head file beside says how many receipts there are and how the last one ends, signed
too: whoever has the public key notices a receipt that was changed, taken out, moved or cut off while its head stayed.
An older copy of both files is sound in itself, and so are none at all: only the count outside the site folder
(`client.receipts.outside_count`) tells of those, to the site itself. Whoever has the private key and can write that
count can write another history; the coordinator's journal has the hashes of the statistics, training and evaluation
replies that it accepted, and of no others.
"""

import fcntl
import hashlib
import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from client.receipts.outside_count import OutsideHead, outside_place, read_outside, write_outside
from client.receipts.receipt import Receipt, Verified
from client.site_folder.keys import PrivateKey, PublicKey, fingerprint, is_signed, read_public_key, sign
from common.errors import InputError
from common.files import write_whole

log = logging.getLogger("consilium.receipts")


_REMEDY = "compare it with the coordinator's journal and with backups"


_NONE = "0" * 64


ARCHIVED = "-until-"
"""After the name of the folder, and before the time, in the name of the folder to which an old key's receipts move."""


def append(path: Path, receipt: Receipt, key: PrivateKey) -> Receipt:
    """Add a receipt and its head to the disk; when this returns, both outlast a power cut.

    Any number of processes may append. The last receipts are checked, not all of them: `verify` does that. The count
    outside the site folder comes last; where it cannot be written, that is logged, and it stays behind.

    Returns:
        The receipt with its number.

    Raises:
        InputError: if the receipts end otherwise than the head says, or are behind what is known outside.
        OSError: if they cannot be written.
    """
    with _alone(path):
        public = key.public_key()
        is_new = not path.exists() and not head_path(path).exists()
        count, last = (0, _NONE) if is_new else _end(path, public)
        _require_known(path, public)
        if is_new:
            _write_head(path, 0, _NONE, key)
        numbered = receipt.model_copy(update={"number": count + 1})
        body = numbered.model_dump(mode="json")
        digest = _hash(last, body)
        line = _text({"receipt": body, "hash": digest, "signature": sign(key, digest.encode())}) + "\n"
        with path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        _write_head(path, count + 1, digest, key)
        try:
            write_outside(path, OutsideHead(count=count + 1, hash=digest, key=fingerprint(public)))
        except OSError as error:
            log.warning("the receipts are not counted outside the site folder: %s", error)
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
    receipts, hashes, last = [], [], _NONE
    for number, line in enumerate(lines, start=1):
        receipt, last = _read_line(path, number, line, last, key)
        receipts.append(receipt)
        hashes.append(last)
        if head is not None and head[0] == number and head[1] != last:
            raise InputError(str(path), f"receipt {number} is not the one the head file tells of", _REMEDY)
    if head is None:
        raise InputError(str(head_path(path)), "the head file is missing", _REMEDY)
    if head is not None and head[0] > len(receipts):
        missing = head[0] - len(receipts)
        raise InputError(str(path), f"{missing} receipts are missing at the end", _REMEDY)
    return Verified(tuple(receipts), len(receipts) - (head[0] if head else 0), tuple(hashes))


def verify_here(path: Path, key: PublicKey) -> Verified:
    """As `verify`, where the receipts were written: they are compared with the count outside the site folder too.

    No files at all are no receipts, if nothing outside tells of any.

    Raises:
        InputError: with the first thing that is not as it should be.
    """
    empty = not path.exists() and not head_path(path).exists()
    found = Verified((), 0) if empty else verify(path, key)
    head = read_outside(path)
    if head is None:
        return found
    _compare(path, key, head, found.hashes)
    is_current = head.key == fingerprint(key) and _reach(found.hashes, head)
    return replace(found, outside=head.count if is_current else 0)  # else what it counts was archived


def restart_outside(path: Path, key: PublicKey) -> None:
    """Count from 0 for a new key.

    Raises:
        OSError: if it cannot be written.
    """
    write_outside(path, OutsideHead(count=0, hash=_NONE, key=fingerprint(key)))


def _require_known(path: Path, key: PublicKey) -> None:
    """Hold the receipts against the count outside, by the hashes that they name themselves."""
    head = read_outside(path)
    if head is not None:
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []
        _compare(path, key, head, [_named_hash(line) for line in lines])


def _compare(path: Path, key: PublicKey, head: OutsideHead, hashes: Sequence[str]) -> None:
    if head.key == fingerprint(key) and _reach(hashes, head):
        return
    if head.count == 0 or _is_archived(path, head):  # before a new key's first receipt
        return
    what = f"there are {len(hashes)}, and outside this folder {head.count} are known"
    if len(hashes) >= head.count:
        what = f"number {head.count} is not the one that is known outside this folder"
    place = outside_place(path)
    remedy = f"put the latest ones back from a backup; if they are lost, keep a note of it and remove {place}"
    raise InputError(str(path), f"receipts were rolled back or removed: {what}", remedy)


def _reach(hashes: Sequence[str], head: OutsideHead) -> bool:
    """Whether these are the receipts that the head tells of, or the same and later ones."""
    return head.count == 0 or (len(hashes) >= head.count and hashes[head.count - 1] == head.hash)


def _is_archived(path: Path, head: OutsideHead) -> bool:
    """Whether the record of the old key (`client.commands.rekey`) lies beside, whole, and that key verifies it."""
    for folder in path.parent.parent.glob(f"{path.parent.name}{ARCHIVED}*"):
        try:
            key = read_public_key(folder / "node_key.pub")
            if fingerprint(key) == head.key and _reach(verify(folder / path.name, key).hashes, head):
                return True
        except InputError:
            continue
    return False


def _named_hash(line: bytes) -> str:
    try:
        return str(json.loads(line)["hash"])
    except (ValueError, TypeError, KeyError):
        return ""


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
