"""Signed head file beside the receipts: number, hash of the last one, and size.

By the size an append finds the last receipt without reading those before. A head file of an earlier version has none.
"""

import json
from dataclasses import dataclass
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


@dataclass(frozen=True)
class SignedEnd:
    """End of the receipts, and their bytes up to it; None in a head file that does not say."""

    end: ChainEnd
    size: int | None


def write_head(receipts: Path, end: ChainEnd, size: int, key: PrivateKey) -> None:
    """Sign and write the end of the receipts, whole or not at all.

    Raises:
        OSError: if it cannot be written; an older one is then still there.
    """
    signature = sign(key, _signed_text(SignedEnd(end, size)))
    content = {"count": end.count, "hash": end.hash, "size": size, "signature": signature}
    write_whole(head_path(receipts), canonical(content).encode())


def read_head(receipts: Path, key: PublicKey) -> SignedEnd | None:
    """Read the end of the receipts; None if there is no head file.

    Raises:
        IntegrityError: if it is not a head file, or not signed by this key.
    """
    path = head_path(receipts)
    try:
        head = json.loads(path.read_bytes())
        end, signature = ChainEnd(int(head["count"]), str(head["hash"])), str(head["signature"])
        signed = SignedEnd(end, int(head["size"]) if "size" in head else None)
    except FileNotFoundError:
        return None
    except (ValueError, TypeError, KeyError):
        raise IntegrityError(str(path), "is not a head file", REMEDY) from None
    if not is_signed(key, _signed_text(signed), signature):
        raise IntegrityError(str(path), "is not signed by this key", REMEDY)
    return signed


def _signed_text(head: SignedEnd) -> bytes:
    size = "" if head.size is None else f" {head.size}"
    return f"{head.end.count} {head.end.hash}{size}".encode()
