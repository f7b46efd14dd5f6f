"""Signature of a release by the coordinator's authority.

Its certificate is the one that every hospital has had since it joined, and trusts for all connections.

ECDSA with SHA-384 and the deterministic nonce of RFC 6979, so that the same release has the same signature. Of the two
values of s that verify, the smaller is the only one that is taken, and base64 in its one spelling: no other file
verifies in place of the one that was signed.
"""

import base64
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from common.errors import MissingFileError, UnreadableFileError
from common.node_keys import PublicKey
from common.reading.access import read_bytes

PURPOSE = b"consilium release, 1\n"
"""Start of what is signed: the key signs certificates and receipts too, and none can be taken for another."""


_VERIFIED, _SIGNED = ec.ECDSA(hashes.SHA384()), ec.ECDSA(hashes.SHA384(), deterministic_signing=True)


_ORDERS = {
    "secp256r1": 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    "secp384r1": 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973,
}
"""Orders n of the curves' groups (SEC 2, version 2): with s, n - s verifies too."""


def signature_of(content: bytes, key: ec.EllipticCurvePrivateKey) -> bytes:
    """Sign the content of a manifest."""
    first, second = decode_dss_signature(key.sign(PURPOSE + content, _SIGNED))
    second = min(second, _ORDERS[key.curve.name] - second)
    return base64.b64encode(encode_dss_signature(first, second)) + b"\n"


def is_signed(content: bytes, signature: bytes, key: PublicKey) -> bool:
    """Whether the owner of the key signed this content, in the one form of a signature."""
    try:
        plain = base64.b64decode(signature.removesuffix(b"\n"), validate=True)
        if base64.b64encode(plain) + b"\n" != signature:
            return False
        if decode_dss_signature(plain)[1] * 2 > _ORDERS[key.curve.name]:
            return False
        key.verify(plain, PURPOSE + content, _VERIFIED)
    except (InvalidSignature, ValueError):
        return False
    return True


def read_verifying_key(path: Path, remedy: str) -> PublicKey:
    """Read the public key of a coordinator.

    It stands in the certificate `ca.crt`, or in a file of its own, as PEM or in OpenSSH form.

    Raises:
        InputError: if there is none; it ends with the remedy.
    """
    content = read_bytes(path, MissingFileError(str(path), "there is no such file", remedy))
    key = _certified(content) or _plain(content)
    if not isinstance(key, PublicKey) or key.curve.name not in _ORDERS:
        raise UnreadableFileError(str(path), "holds no certificate or public key of a coordinator", remedy)
    return key


def _certified(content: bytes) -> object | None:
    try:
        return x509.load_pem_x509_certificate(content).public_key()
    except (ValueError, UnsupportedAlgorithm):
        return None


def _plain(content: bytes) -> object | None:
    for load in (serialization.load_pem_public_key, serialization.load_ssh_public_key):
        try:
            return load(content)
        except (ValueError, UnsupportedAlgorithm):
            continue
    return None
