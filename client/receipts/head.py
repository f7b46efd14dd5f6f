"""Signed head file beside the receipts: their number and the hash of the last one."""

import json
from pathlib import Path

from client.chained_log.chain import ChainEnd
from client.receipts.line import REMEDY, canonical
from client.site_folder.keys import PrivateKey, is_signed, sign
from common.errors import IntegrityError
from common.files import write_whole
from common.node_keys import PublicKey


def head_path(receipts: Path) -> Path:
    """Path of the head file of a file of receipts."""
    return receipts.with_suffix(".head.json")


def write_head(receipts: Path, end: ChainEnd, key: PrivateKey) -> None:
    """Sign and write the end of the receipts, whole or not at all.

    Raises:
        OSError: if it cannot be written; an older one is then still there.
    """
    signature = sign(key, _signed_text(end))
    content = {"count": end.count, "hash": end.hash, "signature": signature}
    write_whole(head_path(receipts), canonical(content).encode())


def read_head(receipts: Path, key: PublicKey) -> ChainEnd | None:
    """Read the end of the receipts; None if there is no head file.

    Raises:
        IntegrityError: if it is not a head file, or not signed by this key.
    """
    path = head_path(receipts)
    try:
        head = json.loads(path.read_bytes())
        end, signature = ChainEnd(int(head["count"]), str(head["hash"])), str(head["signature"])
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise IntegrityError(str(path), "is not a head file", REMEDY) from None
    if not is_signed(key, _signed_text(end), signature):
        raise IntegrityError(str(path), "is not signed by this key", REMEDY)
    return end


def _signed_text(end: ChainEnd) -> bytes:
    return f"{end.count} {end.hash}".encode()
