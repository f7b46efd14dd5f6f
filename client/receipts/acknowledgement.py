"""Acknowledgement of lost, set back or restored receipts, which go on from what is there."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from client.chained_log.chain import ChainEnd
from client.chained_log.lines import cut_unfinished
from client.chained_log.lock import exclusive
from client.receipts.head import head_path
from client.receipts.line import NO_RECEIPTS
from client.receipts.outside_count import read_outside_count, write_outside_count
from client.receipts.verification import ARCHIVED, require_counted, verify
from common.errors import InputError, IntegrityError
from common.files import write_whole
from common.node_keys import PublicKey, public_text


def acknowledge_receipts(path: Path, key: PublicKey) -> bool:
    """Count receipts outside the site folder anew, where they are not those counted there.

    Receipts that are not whole are archived with their public key, and new ones begin.

    Returns:
        Whether there was anything to acknowledge.

    Raises:
        InputError: if the count outside cannot be reached.
        OSError: if a file cannot be written; a second attempt mends it.
    """
    if not path.parent.is_dir() and _is_counted(path, key, ()):
        return False
    with exclusive(path):
        hashes = _hashes(path, key)
        if hashes is not None and _is_counted(path, key, hashes):
            return False
        if hashes is None:
            archive(path, key)
        end = ChainEnd(len(hashes), hashes[-1]) if hashes else NO_RECEIPTS
        write_outside_count(path, end, key)
    return True


def archive(path: Path, key: PublicKey) -> Path:
    """Move receipts to a folder with the key that verifies them."""
    folder = path.parent
    moved = folder.with_name(f"{folder.name}{ARCHIVED}{datetime.now(UTC):%Y%m%d-%H%M%S-%f}")
    write_whole(folder / "node_key.pub", public_text(key))
    folder.rename(moved)
    return moved


def _hashes(path: Path, key: PublicKey) -> tuple[str, ...] | None:
    """Hashes of receipts that are whole; None if they are not."""
    if not path.exists() and not head_path(path).exists():
        return ()
    try:
        cut_unfinished(path)
        return verify(path, key).hashes
    except InputError:
        return None


def _is_counted(path: Path, key: PublicKey, hashes: Sequence[str]) -> bool:
    try:
        count = read_outside_count(path, key)
        if count is not None or hashes:
            require_counted(path, key, count, hashes)
    except IntegrityError:
        return False
    return True
