"""Record of the messages that left: a signed receipt per message, on disk before it leaves.

A receipt is one line of JSON: the receipt, the SHA-256 of the previous hash and the receipt's canonical text, and the
node key's signature of that hash. A signed head file beside names the number of receipts and the hash of the last one:
whoever has the public key notices a receipt that was changed, taken out, moved or cut off while its head stayed. An
older copy of both files is sound in itself, and so are none at all: only the count outside the site folder
(`client.receipts.outside_count`) shows those, to the site itself. Whoever has the private key and can write that count
can write another history; the coordinator's journal has the hashes of the statistics, training and evaluation replies
that it accepted, and of no others.
"""

import logging
from pathlib import Path

from client.chained_log.chain import ChainEnd
from client.chained_log.lines import append_line, cut_unfinished, whole_lines
from client.chained_log.lock import exclusive
from client.receipts.head import head_path, read_head, write_head
from client.receipts.line import NO_RECEIPTS, REMEDY, hash_in, read_line, signed_line
from client.receipts.outside_count import read_outside_count, write_outside_count
from client.receipts.receipt import Receipt
from client.receipts.verification import require_counted
from client.site_folder.keys import PrivateKey
from common.errors import IntegrityError
from common.node_keys import PublicKey

log = logging.getLogger("consilium.receipts")


def append_receipt(path: Path, receipt: Receipt, key: PrivateKey) -> Receipt:
    """Add a receipt and its head to the disk; when this returns, both outlast a power cut.

    Any number of processes may append. The last receipts are checked, not all of them: `verify` does that. The count
    outside the site folder comes last; where it cannot be written, that is logged, and it stays behind.

    Returns:
        The receipt with its number.

    Raises:
        InputError: if the receipts end otherwise than the head says, or are behind the count outside.
        OSError: if they cannot be written, or another process does not finish writing them.
    """
    with exclusive(path):
        public = key.public_key()
        is_new = not path.exists() and not head_path(path).exists()
        end = NO_RECEIPTS if is_new else _checked_end(path, public)
        count = read_outside_count(path, public)
        if count is not None:
            lines, _ = whole_lines(path)
            require_counted(path, public, count, [hash_in(line) for line in lines])
        if is_new:
            write_head(path, NO_RECEIPTS, key)
        numbered = receipt.model_copy(update={"number": end.count + 1})
        line, end = signed_line(numbered, end, key)
        append_line(path, line)
        write_head(path, end, key)
        try:
            write_outside_count(path, end, public)
        except OSError as error:
            log.warning("the receipts are not counted outside the site folder: %s", error)
    return numbered


def _checked_end(path: Path, key: PublicKey) -> ChainEnd:
    """Check the end of the receipts, and cut off a line that a crash left unfinished.

    The message of such a line never left.

    Raises:
        IntegrityError: if the head names more receipts, or others.
    """
    head = read_head(path, key)
    if head is None and path.exists():
        raise IntegrityError(str(head_path(path)), "the head file is missing", REMEDY)
    end = head or NO_RECEIPTS
    lines, unfinished = whole_lines(path)
    if end.count > len(lines):
        raise IntegrityError(str(path), "receipts are missing at the end", REMEDY)
    if end.count:
        _, last = read_line(path, end.count, lines[end.count - 1], None, key)
        if last != end:
            raise IntegrityError(
                str(path), "the last receipt is not the one that the head file names", REMEDY
            )
    for number, line in enumerate(lines[end.count :], start=end.count + 1):
        _, end = read_line(path, number, line, end, key)
    if unfinished:
        cut_unfinished(path)
    return end
