"""Public node keys, ECDSA on P-384, as hospital and coordinator name them."""

import base64
import hashlib

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

PublicKey = ec.EllipticCurvePublicKey


def public_text(key: PublicKey) -> bytes:
    """Write a public key in OpenSSH form."""
    return key.public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH) + b"\n"


def fingerprint(key: PublicKey) -> str:
    """Fingerprint of a key as `ssh-keygen -l` prints it: SHA256 and unpadded base64."""
    return text_fingerprint(public_text(key))


def text_fingerprint(public: bytes) -> str:
    """Fingerprint of a public key in OpenSSH form."""
    blob = base64.b64decode(public.split()[1])
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")
