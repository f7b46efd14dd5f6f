"""Keys of hospitals, enrolled (`enrolled.json`) and withdrawn (`withdrawn.json`)."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from common.errors import MissingFileError, UnreadableFileError
from common.files import write_whole
from common.node_keys import fingerprint

_REMEDY = "put it back from a copy"


class Enrolment(BaseModel):
    """Fingerprint of a hospital's node key, as `ssh-keygen -l` prints it, and the node's number."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    node_id: int
    since: str


class Withdrawal(BaseModel):
    """An enrolment that has ended: who it was, by which key and node, and from when to when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: str
    fingerprint: str
    node_id: int
    since: str
    until: str


Enrolled = dict[str, Enrolment]
"""Site -> its enrolment."""


Withdrawn = tuple[Withdrawal, ...]
"""In order of time."""


_ENROLLED: TypeAdapter[Enrolled] = TypeAdapter(Enrolled)


_WITHDRAWN: TypeAdapter[Withdrawn] = TypeAdapter(Withdrawn)


def read_enrolled(path: Path) -> Enrolled:
    """The hospitals enrolled.

    Raises:
        InputError: if the file is missing or damaged.
    """
    try:
        return _ENROLLED.validate_json(path.read_bytes())
    except FileNotFoundError:
        raise MissingFileError(str(path), "there is no such file", _REMEDY) from None
    except ValidationError:
        raise UnreadableFileError(str(path), "is damaged", _REMEDY) from None


def write_enrolled(path: Path, enrolled: Enrolled) -> None:
    """Write the hospitals enrolled, whole or not at all."""
    write_whole(path, _ENROLLED.dump_json(enrolled, indent=2) + b"\n")


def in_force(enrolled: Enrolled, withdrawn: Withdrawn) -> Enrolled:
    """Hospitals enrolled whose key was not withdrawn.

    A withdrawal that was cut short holds all the same.
    """
    dead = {enrolment.fingerprint for enrolment in withdrawn}
    return {site: enrolment for site, enrolment in enrolled.items() if enrolment.fingerprint not in dead}


def read_withdrawn(path: Path) -> Withdrawn:
    """The enrolments that have ended; none while the file has never been written.

    Raises:
        InputError: if the file is damaged.
    """
    try:
        return _WITHDRAWN.validate_json(path.read_bytes())
    except FileNotFoundError:
        return ()
    except ValidationError:
        raise UnreadableFileError(str(path), "is damaged", _REMEDY) from None


def write_withdrawn(path: Path, withdrawn: Withdrawn) -> None:
    """Write the enrolments that have ended, whole or not at all."""
    write_whole(path, _WITHDRAWN.dump_json(withdrawn, indent=2) + b"\n")


def read_fingerprint(public_key: Path) -> str:
    """The fingerprint of a node's public key, SHA256 and base64 as `ssh-keygen -l` prints it.

    Raises:
        InputError: if the file is missing, a private key, or no ECDSA key on P-384 in OpenSSH form.
    """
    try:
        content = public_key.read_bytes()
    except FileNotFoundError:
        raise MissingFileError(
            str(public_key), "there is no such file", "name the hospital's public key"
        ) from None
    if b"PRIVATE KEY" in content:
        what = "is a private key, which no hospital may give away"
        raise UnreadableFileError(
            str(public_key), what, "delete it here, and have the hospital make a new key"
        )
    try:
        key = serialization.load_ssh_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, ec.EllipticCurvePublicKey) or not isinstance(key.curve, ec.SECP384R1):
        what = "is no ECDSA key on P-384 in OpenSSH form"
        raise UnreadableFileError(str(public_key), what, "ask the hospital for its node_key.pub")
    return fingerprint(key)
