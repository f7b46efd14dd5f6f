"""Certificate by which a site's two processes know each other on the loopback interface.

The site's SuperExec asks whoever listens on the local port for tasks, and has them answered from patients' data.
Without a certificate any account of the machine could listen there while the SuperNode is being restarted.
"""

import http.client
import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from client.runtime.local_port import LOOPBACK
from client.site_folder.places import Home
from common.files import write_whole

_YEARS = timedelta(days=3650)


_SKEW = timedelta(days=1)


@dataclass(frozen=True)
class Pair:
    """Paths of a self-signed certificate and its key."""

    certificate: Path
    key: Path


def pair_of(home: Home) -> Pair:
    """Paths of a site's pair, which every start makes anew."""
    return Pair(home.state / "loopback.crt", home.state / "loopback.key")


def make(home: Home) -> Pair:
    """Make a key, and a certificate for 127.0.0.1, that only this user can use."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a site's own processes")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _YEARS)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(LOOPBACK))]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), True)
        .add_extension(_usage(), True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .sign(key, hashes.SHA256())
    )
    pair = pair_of(home)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    write_whole(pair.key, private, 0o600)
    write_whole(pair.certificate, certificate.public_bytes(serialization.Encoding.PEM), 0o600)
    return pair


def _usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        key_cert_sign=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def supernode_answers(home: Home, port: int) -> bool:
    """Whether this site's own SuperNode answers on the local port within two seconds."""
    try:
        trusted = ssl.create_default_context(cafile=str(pair_of(home).certificate))
        connection = http.client.HTTPSConnection(LOOPBACK, port, timeout=2, context=trusted)
    except OSError:  # never started
        return False
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()
