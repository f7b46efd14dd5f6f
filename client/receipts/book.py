"""Record of the messages that left: a signed receipt per message, on disk before it leaves.

A receipt is one line of JSON: the receipt, the SHA-256 of the previous hash and the receipt's canonical text, and the
node key's signature of that hash. A signed head file beside names the number of receipts and the hash of the last one:
whoever has the public key notices a receipt that was changed, taken out, moved or cut off while its head stayed. An
older copy of both files is sound in itself, and so are none at all: only the count outside the site folder
(`client.receipts.outside_count`) shows those, to the site itself, and the coordinator's countersignature
(`client.receipts.countersigned`), which counts the statistics, training and evaluation replies that it accepted.
Whoever has the private key, can write that count and deceives the coordinator too can write another history.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

from client.chained_log.chain import ChainEnd
from client.chained_log.lines import append_line, cut_unfinished, start_of_line, whole_lines
from client.chained_log.lock import exclusive
from client.receipts.head import head_path, read_head, write_head
from client.receipts.line import NO_RECEIPTS, REMEDY, hash_in, read_line, signed_line
from client.receipts.outside_count import OutsideCount, read_outside_count, write_outside_count
from client.receipts.receipt import Receipt
from client.receipts.verification import require_counted
from client.site_folder.keys import PrivateKey
from common.errors import IntegrityError
from common.node_keys import PublicKey, fingerprint

log = logging.getLogger("consilium.receipts")


@dataclass(frozen=True)
class _Tail:
    """Receipts from the last one that the head file counts.

    Attributes:
        ends: of the chain after each of them; where there are none, its beginning.
        size: bytes of the file up to the last one's end.
    """

    ends: tuple[ChainEnd, ...]
    size: int


def append_receipt(path: Path, receipt: Receipt, key: PrivateKey) -> Receipt:
    """Add a receipt and its head to the disk; when this returns, both outlast a power cut.

    Any number of processes may append. The last receipts are checked, not all of them: `verify` does that, and an
    append costs the same after any number of receipts. The count outside the site folder comes last; where it cannot
    be written, that is logged, and it stays behind. Receipts of which nothing is counted outside may be any older ones,
    and none is added to them.

    Returns:
        The receipt with its number.

    Raises:
        InputError: if the receipts end otherwise than the head says, are behind the count outside or not counted
            there, or the count cannot be reached.
        OSError: if they cannot be written, or another process does not finish writing them.
    """
    with exclusive(path):
        public = key.public_key()
        is_new = not path.exists() and not head_path(path).exists()
        tail = _Tail((NO_RECEIPTS,), 0) if is_new else _checked_tail(path, public)
        count = read_outside_count(path, public)
        if not is_new or count is not None:
            _require_counted(path, public, count, tail)
        if is_new:
            if count is None:  # before the first receipt: receipts that are not counted are refused
                write_outside_count(path, NO_RECEIPTS, public)
            write_head(path, NO_RECEIPTS, 0, key)
        end = tail.ends[-1]
        numbered = receipt.model_copy(update={"number": end.count + 1})
        line, end = signed_line(numbered, end, key)
        append_line(path, line)
        write_head(path, end, tail.size + len(line) + 1, key)
        try:
            write_outside_count(path, end, public)
        except OSError as error:
            log.warning("the receipts are not counted outside the site folder: %s", error)
    return numbered


def _checked_tail(path: Path, key: PublicKey) -> _Tail:
    """Check the end of the receipts, and cut off a line that a crash left unfinished.

    The message of such a line never left.

    Raises:
        IntegrityError: if the head names more receipts, or others.
    """
    head = read_head(path, key)
    if head is None and path.exists():
        raise IntegrityError(str(head_path(path)), "the head file is missing", REMEDY)
    end = head.end if head is not None else NO_RECEIPTS
    size = _size(path, end) if head is None or head.size is None else head.size
    if size > (path.stat().st_size if path.exists() else 0):
        raise IntegrityError(str(path), "receipts are missing at the end", REMEDY)
    start = start_of_line(path, size) if end.count else 0
    lines, unfinished = whole_lines(path, start)
    ends = [end]
    if end.count:
        last, *lines = lines or [b""]
        if start + len(last) + 1 != size or read_line(path, end.count, last, None, key)[1] != end:
            what = "the last receipt is not the one that the head file names"
            raise IntegrityError(str(path), what, REMEDY)
    for number, line in enumerate(lines, start=end.count + 1):
        _, end = read_line(path, number, line, end, key)
        ends.append(end)
        size += len(line) + 1
    if unfinished:
        cut_unfinished(path)
    return _Tail(tuple(ends), size)


def _size(path: Path, end: ChainEnd) -> int:
    """Bytes up to an end of the chain that an earlier version wrote, which kept no size.

    Raises:
        IntegrityError: if there are fewer receipts.
    """
    lines, _ = whole_lines(path)
    if end.count > len(lines):
        raise IntegrityError(str(path), "receipts are missing at the end", REMEDY)
    return sum(len(line) + 1 for line in lines[: end.count])


def _require_counted(path: Path, key: PublicKey, count: OutsideCount | None, tail: _Tail) -> None:
    """Require that the receipts are those counted outside.

    All of them are read only if the last ones are not.

    Raises:
        IntegrityError: if they were rolled back, removed or replaced, or nothing counts them.
    """
    if count is not None and count.key == fingerprint(key) and count.end in tail.ends:
        return
    lines, _ = whole_lines(path)
    require_counted(path, key, count, [hash_in(line) for line in lines])
