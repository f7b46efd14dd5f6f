"""Line of a receipts file: a receipt, its hash in the chain, and the hash's signature."""

import json
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from client.chained_log.chain import ChainEnd
from client.receipts.receipt import Receipt
from client.site_folder.keys import PrivateKey, is_signed, sign
from common.errors import IntegrityError
from common.node_keys import PublicKey

NO_RECEIPTS = ChainEnd(0, "0" * 64)


REMEDY = "compare it with the coordinator's journal and with backups"


def signed_line(receipt: Receipt, end: ChainEnd, key: PrivateKey) -> tuple[bytes, ChainEnd]:
    """Make (line, new end) of a receipt that follows a chain which ends there."""
    body = receipt.model_dump(mode="json")
    new_end = end.followed_by(canonical(body))
    signature = sign(key, new_end.hash.encode())
    line = canonical({"receipt": body, "hash": new_end.hash, "signature": signature})
    return line.encode(), new_end


def read_line(
    path: Path, number: int, line: bytes, previous: ChainEnd | None, key: PublicKey
) -> tuple[Receipt, ChainEnd]:
    """Read (receipt, end of the chain after it) from a line, and check both.

    Args:
        path: the file, for errors.
        number: position of the line, from 1.
        line: the line without its end.
        previous: end of the chain before it; None leaves the receipt's link to the one before unchecked.
        key: of the site.

    Raises:
        IntegrityError: if the line is not as it was written.
    """
    try:
        entry = json.loads(line)
        body, digest, signature = entry["receipt"], entry["hash"], entry["signature"]
        receipt = Receipt.model_validate_json(json.dumps(body))
        # a line that says the same in other bytes is not the line that was written
        same = line == canonical({"receipt": body, "hash": digest, "signature": signature}).encode()
    except (ValueError, TypeError, KeyError, ValidationError):
        same = False
    if not same:
        raise IntegrityError(str(path), f"line {number} is not a receipt", REMEDY)
    if receipt.number != number:
        raise IntegrityError(str(path), f"receipt {receipt.number} stands on line {number}", REMEDY)
    end = ChainEnd(number, str(digest))
    if previous is not None and end != previous.followed_by(canonical(body)):
        raise IntegrityError(
            str(path), f"receipt {number} was changed, or the one before it is missing", REMEDY
        )
    if not is_signed(key, end.hash.encode(), str(signature)):
        raise IntegrityError(str(path), f"receipt {number} is not signed by this key", REMEDY)
    return receipt, end


def hash_in(line: bytes) -> str:
    """Hash that a line itself states; empty if it states none."""
    try:
        return str(json.loads(line)["hash"])
    except (ValueError, TypeError, KeyError):
        return ""


def canonical(data: dict[str, Any]) -> str:
    """JSON with keys in order and without spaces."""
    return json.dumps(data, sort_keys=True, separators=(",", ":"), allow_nan=False)
