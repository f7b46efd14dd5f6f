"""Certificate of the node key, which the coordinator asks for before it reads a request.

The hospital signs it itself, and the coordinator knows it by the enrolled key: nothing is sent back to a hospital, and
nothing of it lies on a disk.
"""

import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from client.site_folder.keys import PrivateKey
from common.node_keys import fingerprint

_SKEW = timedelta(days=1)


_LASTS = timedelta(days=3650)


def coordinator_context(authority: Path | bytes, key: PrivateKey | None) -> ssl.SSLContext:
    """Make the TLS of connections to the coordinator.

    The coordinator has to be vouched for, and is shown the certificate of the key.

    Args:
        authority: certificate of the authority that vouches for it, as PEM or in a file.
        key: of the node; None where there is none yet.

    Raises:
        OSError: if the authority's certificate cannot be used; `ssl.SSLError` among them.
    """
    if isinstance(authority, bytes):
        context = ssl.create_default_context(cadata=authority.decode("ascii"))
    else:
        context = ssl.create_default_context(cafile=str(authority))
    if key is not None:
        show_certificate(context, key)
    return context


def show_certificate(context: ssl.SSLContext, key: PrivateKey) -> None:
    """Have the connections of a context show a certificate of this key."""
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    # Python reads a private key from a path alone; this file is in memory
    with os.fdopen(os.memfd_create("certificate"), "wb") as file:
        file.write(private + new_certificate(key).public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")


def new_certificate(key: PrivateKey) -> x509.Certificate:
    """Make a certificate for a key.

    It is issued in the name of the key's fingerprint, by which a coordinator finds the key.
    """
    issuer = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fingerprint(key.public_key()))])
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Consilium site")])
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _LASTS)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
        .sign(key, hashes.SHA384())
    )
