"""Node key: ECDSA on P-384 in OpenSSH form, as Flower's commands take it.

The same key by which a hospital's node is known to the coordinator signs its receipts.
"""

import base64
from pathlib import Path

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import InputError, MissingFileError, UnreadableFileError
from common.node_keys import PublicKey, public_text

PrivateKey = ec.EllipticCurvePrivateKey


_ALGORITHM = ec.ECDSA(hashes.SHA384())


def new_key() -> tuple[bytes, bytes]:
    """(private, public) in OpenSSH form."""
    key = ec.generate_private_key(ec.SECP384R1())
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    return private, public_text(key.public_key())


def read_key(path: Path) -> PrivateKey:
    """Read the node's private key.

    Raises:
        InputError: if it is missing or another kind of key.
    """
    try:
        key = serialization.load_ssh_private_key(path.read_bytes(), None)
    except FileNotFoundError:
        raise MissingFileError(str(path), "there is no node key", "run `consilium site init` first") from None
    except (ValueError, TypeError, UnsupportedAlgorithm):  # TypeError: it has a password
        key = None
    if not isinstance(key, PrivateKey) or not isinstance(key.curve, ec.SECP384R1):
        raise _unusable(path)
    return key


def read_public_key(path: Path) -> PublicKey:
    """Read a node's public key.

    Raises:
        InputError: if it is missing or another kind of key.
    """
    try:
        key = serialization.load_ssh_public_key(path.read_bytes())
    except FileNotFoundError:
        raise MissingFileError(
            str(path), "there is no such file", "name the hospital's node_key.pub"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        key = None
    if not isinstance(key, PublicKey) or not isinstance(key.curve, ec.SECP384R1):
        raise _unusable(path)
    return key


def _unusable(path: Path) -> InputError:
    return UnreadableFileError(
        str(path),
        "is not an unencrypted ECDSA key on P-384 in OpenSSH form",
        "put the right key back from a backup",
    )


def sign(key: PrivateKey, content: bytes) -> str:
    """Sign content, as base64."""
    return base64.b64encode(key.sign(content, _ALGORITHM)).decode()


def is_signed(key: PublicKey, content: bytes, signature: str) -> bool:
    """Whether the owner of the key signed this content."""
    try:
        key.verify(base64.b64decode(signature, validate=True), content, _ALGORITHM)
    except (InvalidSignature, ValueError):
        return False
    return True
