"""Coordinator's countersignature of receipts: a signed count of the messages that it has.

It travels with the first request of a run. A hospital whose receipts lack a message that the coordinator has was set
back, with everything that its own machine knows. The statement holds nothing about patients, and a coordinator that
lies in it can make a hospital refuse and no more.
"""

import base64
import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

_ALGORITHM = ec.ECDSA(hashes.SHA384())


_PURPOSE = b"consilium countersignature of receipts, 1\n"
"""Start of what is signed: the key signs certificates too, and neither can be taken for the other."""


LONGEST = 2000
"""Characters of a signed statement at the most."""


class CountersignatureError(ValueError):
    """Text that is no statement signed by this coordinator."""


class Received(BaseModel):
    """Messages of a hospital that the coordinator accepted, in the order of its journals.

    Attributes:
        key: fingerprint of the node key that sent them.
        count: number of messages.
        run: name of the last one's run, or Flower's number as text; empty without messages.
        sha256: of the last one's content, as in the hospital's receipt; empty without messages.
        digest: SHA-256 over the lines `RUN SHA256` of all of them.
        at: when this was stated, ISO 8601 in UTC.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    key: str = Field(max_length=100)
    count: int = Field(ge=0)
    run: str = Field(max_length=100)
    sha256: str = Field(max_length=64)
    digest: str = Field(pattern=r"^[0-9a-f]{64}$")
    at: str = Field(max_length=40)

    @classmethod
    def of(cls, key: str, messages: Iterable[tuple[str, str]]) -> "Received":
        """State what was received of a node key, as (run, SHA-256) in order."""
        lines = [f"{run} {sha256}\n" for run, sha256 in messages]
        digest = hashlib.sha256("".join(lines).encode()).hexdigest()
        run, sha256 = lines[-1].split() if lines else ("", "")
        at = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(key=key, count=len(lines), run=run, sha256=sha256, digest=digest, at=at)


def countersigned(received: Received, key: ec.EllipticCurvePrivateKey) -> str:
    """Sign a statement."""
    text = received.model_dump_json()
    signature = base64.b64encode(key.sign(_PURPOSE + text.encode(), _ALGORITHM)).decode()
    return json.dumps({"received": text, "signature": signature})


def read_countersigned(text: object, key: ec.EllipticCurvePublicKey) -> Received:
    """Read a statement, and check that the owner of the key signed it.

    Raises:
        CountersignatureError: if it is anything else.
    """
    try:
        if not isinstance(text, str) or len(text) > LONGEST:
            raise CountersignatureError("is no statement")
        content = json.loads(text)
        inside, signature = str(content["received"]), base64.b64decode(content["signature"], validate=True)
        key.verify(signature, _PURPOSE + inside.encode(), _ALGORITHM)
        return Received.model_validate_json(inside)
    except InvalidSignature:
        raise CountersignatureError("is not signed by this coordinator") from None
    except (ValidationError, ValueError, TypeError, KeyError, RecursionError) as error:
        raise CountersignatureError("is no statement") from error
