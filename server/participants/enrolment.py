"""Keys of hospitals, enrolled (`enrolled.json`) and withdrawn (`withdrawn.json`)."""

from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError

from common.agreed import HospitalName
from common.errors import IntegrityError, MissingFileError, UnreadableFileError
from common.files import write_whole
from common.node_keys import PublicKey, fingerprint

_REMEDY = "put it back from a copy"


class Enrolment(BaseModel):
    """Enrolment of a hospital's node key.

    Attributes:
        fingerprint: of the key, as `ssh-keygen -l` prints it.
        node_id: number of the node at the SuperLink.
        since: ISO 8601 in UTC.
        public_key: in OpenSSH form; empty in an enrolment by a version that did not keep it.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    fingerprint: str
    node_id: int
    since: str
    public_key: str = ""


class Withdrawal(BaseModel):
    """An enrolment that has ended: who it was, by which key and node, and from when to when."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    site: HospitalName
    fingerprint: str
    node_id: int
    since: str
    until: str


Enrolled = dict[HospitalName, Enrolment]
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


def withdrawn_sites(enrolled: Enrolled, withdrawn: Withdrawn) -> frozenset[str]:
    """Names of the hospitals whose key was withdrawn and that have no other."""
    return frozenset({enrolment.site for enrolment in withdrawn} - set(in_force(enrolled, withdrawn)))


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


def trusted_keys(enrolled: Enrolled) -> dict[str, PublicKey]:
    """Fingerprint -> key of the hospitals whose key was kept.

    Raises:
        InputError: if what was kept is not the key of the fingerprint.
    """
    keys = {}
    for site, enrolment in enrolled.items():
        if not enrolment.public_key:
            continue
        key = _parsed(enrolment.public_key.encode())
        if key is None or fingerprint(key) != enrolment.fingerprint:
            raise IntegrityError(
                "enrolled.json", f"holds another key of {site} than its fingerprint says", _REMEDY
            )
        keys[enrolment.fingerprint] = key
    return keys


def read_node_key(public_key: Path) -> PublicKey:
    """Read a node's public key.

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
    if (key := _parsed(content)) is None:
        what = "is no ECDSA key on P-384 in OpenSSH form"
        raise UnreadableFileError(str(public_key), what, "ask the hospital for its node_key.pub")
    return key


def _parsed(content: bytes) -> PublicKey | None:
    """An ECDSA key on P-384 in OpenSSH form; None if this is none."""
    try:
        key = serialization.load_ssh_public_key(content)
    except (ValueError, UnsupportedAlgorithm):
        return None
    return key if isinstance(key, PublicKey) and isinstance(key.curve, ec.SECP384R1) else None
