"""Verification of receipts: content, position, signature, and none missing at the end."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from client.chained_log.lines import whole_lines
from client.receipts.head import head_path, read_head
from client.receipts.line import NO_RECEIPTS, REMEDY, read_line
from client.receipts.outside_count import OutsideCount, read_outside_count
from client.receipts.receipt import Receipt, VerifiedReceipts
from client.site_folder.keys import read_public_key
from common.counting import are, counted
from common.errors import InputError, IntegrityError, MissingFileError
from common.node_keys import PublicKey, fingerprint

ARCHIVED = "-until-"
"""Text between the folder's name and the time in the name of a folder to which an old key's receipts move."""


NOT_CONFIRMED = "nothing outside the site folder confirms that these receipts are the latest"


_ACKNOWLEDGE = (
    "put the latest ones back from a backup, and use the service's user and CONSILIUM_STATE; if they are lost, "
    "acknowledge it by `consilium site ledger SITE --acknowledge NOTE`"
)


def verify(path: Path, key: PublicKey) -> VerifiedReceipts:
    """Check a file of receipts with its head file, by the public key alone.

    Raises:
        InputError: with the first thing that is not as it should be.
    """
    head = read_head(path, key)
    if head is None and not path.exists():
        raise MissingFileError(str(path), "there are no receipts", "name a receipts.jsonl")
    lines, unfinished = whole_lines(path)
    if unfinished:
        raise IntegrityError(str(path), "the last receipt is cut off", REMEDY)
    receipts: list[Receipt] = []
    hashes: list[str] = []
    end = NO_RECEIPTS
    for number, line in enumerate(lines, start=1):
        receipt, end = read_line(path, number, line, end, key)
        receipts.append(receipt)
        hashes.append(end.hash)
        if head is not None and head.end.count == number and head.end != end:
            what = f"receipt {number} is not the one that the head file names"
            raise IntegrityError(str(path), what, REMEDY)
    if head is None:
        raise IntegrityError(str(head_path(path)), "the head file is missing", REMEDY)
    if head.end.count > len(receipts):
        missing = head.end.count - len(receipts)
        raise IntegrityError(
            str(path), f"{counted(missing, 'receipt')} {are(missing)} missing at the end", REMEDY
        )
    return VerifiedReceipts(tuple(receipts), len(receipts) - head.end.count, tuple(hashes))


def verify_at_site(path: Path, key: PublicKey) -> VerifiedReceipts:
    """Check receipts where they were written: with the count outside the site folder too.

    No files at all are no receipts, if nothing outside counts any. Receipts that nothing outside counts can be read, as
    in a copy for an auditor, and `outside` is then None.

    Raises:
        InputError: with the first thing that is not as it should be.
    """
    empty = not path.exists() and not head_path(path).exists()
    verified = VerifiedReceipts((), 0) if empty else verify(path, key)
    count = read_outside_count(path, key)
    if count is None:
        return verified
    require_counted(path, key, count, verified.hashes)
    is_current = count.key == fingerprint(key) and count.end.is_in(verified.hashes)
    return replace(verified, outside=count.count if is_current else 0)  # else it counts archived receipts


def require_counted(path: Path, key: PublicKey, count: OutsideCount | None, hashes: Sequence[str]) -> None:
    """Require that receipts with these hashes are those that were counted outside.

    Raises:
        IntegrityError: if they were rolled back, removed or replaced, or nothing counts them.
    """
    if count is None:
        raise IntegrityError(str(path), NOT_CONFIRMED, _ACKNOWLEDGE)
    if count.key == fingerprint(key) and count.end.is_in(hashes):
        return
    if count.count == 0 or _is_archived(path, count):  # before a new key's first receipt
        return
    what = f"there are {len(hashes)}, and outside this folder {count.count} are counted"
    if len(hashes) >= count.count:
        what = f"number {count.count} is not the one that is counted outside this folder"
    raise IntegrityError(str(path), f"receipts were rolled back or removed: {what}", _ACKNOWLEDGE)


def _is_archived(path: Path, count: OutsideCount) -> bool:
    """Whether the counted receipts lie whole in an archive beside, with their old key."""
    for folder in path.parent.parent.glob(f"{path.parent.name}{ARCHIVED}*"):
        try:
            key = read_public_key(folder / "node_key.pub")
            if fingerprint(key) == count.key and count.end.is_in(verify(folder / path.name, key).hashes):
                return True
        except InputError:
            continue
    return False
