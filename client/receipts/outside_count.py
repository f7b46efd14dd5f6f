"""Count of a site's receipts, kept outside the site folder.

Receipts that were put back from an older copy, head file and all, are sound in themselves, and so are receipts that
begin anew. Beside the ledger's head copy therefore lies the number of receipts, the hash of the last one and the
fingerprint of the key that signed it. Whoever can write both files can still rewrite both.
"""

from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from client.chained_log.chain import ChainEnd
from client.chained_log.end_copies import outside_path, read_copy, write_copy
from client.receipts.line import NO_RECEIPTS
from client.site_folder.outside import STATE_VARIABLE
from common.errors import IntegrityError, MachineError
from common.node_keys import PublicKey, fingerprint

_REMEDY = f"see to the disk and the permissions, or set {STATE_VARIABLE} to the right folder"


class OutsideCount(BaseModel):
    """End of the receipts: number, hash of the last one, and fingerprint of its key."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=0)
    hash: str
    key: str

    @property
    def end(self) -> ChainEnd:
        """End of the chain."""
        return ChainEnd(self.count, self.hash)


def outside_count_path(receipts: Path, key: PublicKey) -> Path:
    """Path of the count, under a hash of the node key.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    return outside_path("receipts", receipts, fingerprint(key))


def read_outside_count(receipts: Path, key: PublicKey) -> OutsideCount | None:
    """Read the count; None if there is none, as on a new machine.

    Raises:
        InputError: if it was spoilt, or cannot be reached.
    """
    try:
        path = outside_count_path(receipts, key)
        return read_copy(path, OutsideCount)
    except OSError as error:
        what = f"the count of the receipts outside the site folder cannot be read ({error.strerror or error})"
        raise MachineError(str(error.filename or receipts), what, _REMEDY) from None
    except ValidationError:
        remedy = "find out why, then acknowledge it by `consilium site ledger SITE --acknowledge NOTE`"
        raise IntegrityError(str(path), "is not the count of receipts that was written", remedy) from None


def write_outside_count(receipts: Path, end: ChainEnd, key: PublicKey) -> None:
    """Write the count, whole or not at all.

    Raises:
        OSError: if it cannot be written; an older one is then still there.
    """
    count = OutsideCount(count=end.count, hash=end.hash, key=fingerprint(key))
    write_copy(outside_count_path(receipts, key), count, 0o600)


def restart_outside_count(receipts: Path, key: PublicKey) -> None:
    """Count from 0 for a new key.

    Raises:
        OSError: if it cannot be written.
    """
    write_outside_count(receipts, NO_RECEIPTS, key)
