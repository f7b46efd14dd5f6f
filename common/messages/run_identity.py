"""Identity of a run at a hospital: the coordinator's name for it, which a resumed run keeps.

Flower numbers every submission anew. What a hospital keeps of a run, such as its questions in the privacy ledger, the
weights sent last, the residual of an encoding and the last reply, therefore belongs to agreement and name. A run
without a name, as in a simulation, is the one of Flower's number.
"""

import hashlib
import re

from flwr.app import RecordDict

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,99}")


def run_label(content: RecordDict, flower_run: int) -> str:
    """Return a run's name as a request gives it, else Flower's number as text."""
    name = _text(content, "run")
    return name if _NAME.fullmatch(name) else str(flower_run)


def run_number(content: RecordDict, flower_run: int) -> int:
    """Return the number of a run in a hospital's own files.

    It follows from agreement and name, from 1 to 2^56, or is Flower's.
    """
    name = _text(content, "run")
    if not _NAME.fullmatch(name):
        return flower_run
    identity = f"{_text(content, 'federation')} {name}"
    return int.from_bytes(hashlib.sha256(identity.encode()).digest()[:7]) + 1


def _text(content: RecordDict, key: str) -> str:
    header = content.config_records.get("header")
    text = None if header is None else header.get(key)
    return text if isinstance(text, str) else ""
