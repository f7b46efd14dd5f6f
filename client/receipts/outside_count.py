"""How far a hospital's receipts had come, kept outside the site folder.

A chain that was put back from an older copy, head file and all, is sound in itself, and so is one that begins anew.
Beside the head copy of the ledger therefore lies the number of receipts, the hash of the last one and the fingerprint
of the key that signed it. Whoever can write both places can still rewrite both.
"""

import hashlib
import os
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from client.site_folder.outside import state_folder
from common.errors import InputError
from common.files import write_whole


class OutsideHead(BaseModel):
    """The end of the receipts: how many, the hash of the last, and the fingerprint of the key that signed it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    count: int = Field(ge=0)
    hash: str
    key: str


def outside_place(receipts: Path) -> Path:
    """Where it is: in the folder of the ledger's second head copy, under a hash of the receipts' path.

    Raises:
        OSError: if there is no home folder to fall back on.
    """
    return state_folder() / "receipts" / f"{hashlib.sha256(os.fsencode(receipts.resolve())).hexdigest()}.json"


def read_outside(receipts: Path) -> OutsideHead | None:
    """What is known outside the site folder; None if nothing is, as on a new machine, or if it cannot be reached.

    Raises:
        InputError: if it was spoilt.
    """
    try:
        place = outside_place(receipts)
        return OutsideHead.model_validate_json(place.read_bytes())
    except OSError:
        return None
    except ValidationError:
        remedy = "find out why; once the receipts are known to be whole, remove it"
        raise InputError(str(place), "is not what was written of the receipts", remedy) from None


def write_outside(receipts: Path, head: OutsideHead) -> None:
    """Write it, whole or not at all.

    Raises:
        OSError: if it cannot be written; an older one is then still there.
    """
    write_whole(outside_place(receipts), head.model_dump_json().encode(), 0o600)
