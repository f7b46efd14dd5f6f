"""Which key speaks for which hospital: what `enrolled.json` holds."""

import base64
import hashlib
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from common.errors import InputError


class Enrolment(BaseModel):
    """A hospital's node key by its fingerprint, as `ssh-keygen -l` prints it, and the node it is known as."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    node_id: int
    since: str


Enrolled = dict[str, Enrolment]
"""Site -> its enrolment."""
_FILE: TypeAdapter[Enrolled] = TypeAdapter(Enrolled)


def read_enrolled(path: Path) -> Enrolled:
    """The hospitals enrolled.

    Raises:
        InputError: if the file is missing or damaged.
    """
    try:
        return _FILE.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise InputError(str(path), "there is no such file", "put it back from a copy") from None
    except ValidationError:
        raise InputError(str(path), "is damaged", "put it back from a copy") from None


def write_enrolled(path: Path, enrolled: Enrolled) -> None:
    """Write the hospitals enrolled, whole or not at all."""
    temporary = path.with_suffix(".tmp")
    temporary.write_bytes(_FILE.dump_json(enrolled, indent=2) + b"\n")
    temporary.replace(path)


def fingerprint(public_key: Path) -> str:
    """The fingerprint of a node's public key, SHA256 and base64 as `ssh-keygen -l` prints it.

    Raises:
        InputError: if the file is missing, a private key, or no ECDSA key on P-384 in OpenSSH form.
    """
    try:
        content = public_key.read_bytes()
    except FileNotFoundError:
        raise InputError(str(public_key), "there is no such file", "name the hospital's public key") from None
    if b"PRIVATE KEY" in content:
        what = "is a private key, which no hospital may give away"
        raise InputError(str(public_key), what, "delete it here, and have the hospital make a new key")
    try:
        key = serialization.load_ssh_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        what = "is no ECDSA key on P-384 in OpenSSH form"
        raise InputError(str(public_key), what, "ask the hospital for its node_key.pub")
    text = key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    digest = hashlib.sha256(base64.b64decode(text.split()[1])).digest()
    return "SHA256:" + base64.b64encode(digest).decode().rstrip("=")
