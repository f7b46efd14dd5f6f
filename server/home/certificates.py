"""Certificate authority of a coordinator, and the certificate of the coordinator's address.

Hospitals are given `ca.crt` and trust nothing else. All keys are ECDSA; private ones are in files of mode 0600.
"""

import ipaddress
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from common.errors import MissingFileError, UnreadableFileError
from common.files import write_whole

AUTHORITY_YEARS, SERVER_YEARS = 10, 5


LOOPBACK = ("localhost", "127.0.0.1")


_DAY, _YEAR = timedelta(days=1), timedelta(days=365)


def write_secret(path: Path, content: bytes) -> None:
    """Write a new file that nobody else may read, whole and durably.

    Raises:
        FileExistsError: if there is such a file; a secret in use is never written over.
    """
    if path.exists():
        raise FileExistsError(str(path))
    write_whole(path, content, 0o600)


def new_authority(
    name: str, years: float = AUTHORITY_YEARS
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a root certificate, and its key on P-384, that may sign no other authority.

    It ends after `years`.
    """
    key = ec.generate_private_key(ec.SECP384R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    public = key.public_key()
    certificate = (
        _certificate(subject, subject, public, datetime.now(UTC) + years * _YEAR)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
        .sign(key, hashes.SHA384())
    )
    return certificate, key


def new_server(
    authority: x509.Certificate,
    signer: ec.EllipticCurvePrivateKey,
    hosts: Iterable[str],
    years: float = SERVER_YEARS,
) -> tuple[x509.Certificate, ec.EllipticCurvePrivateKey]:
    """Make a certificate, and its key on P-256, for a server of these names or on loopback.

    It ends after `years`, and no later than the authority's own: nobody would trust it beyond.
    """
    names = list(dict.fromkeys([*hosts, *LOOPBACK]))
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0][:64])])
    until = min(datetime.now(UTC) + years * _YEAR, authority.not_valid_after_utc)
    certificate = (
        _certificate(subject, authority.subject, key.public_key(), until)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_alternative(name) for name in names]), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(signer, hashes.SHA384())
    )
    return certificate, key


def new_trust_list(keys: Mapping[str, ec.EllipticCurvePublicKey]) -> bytes:
    """Make the certificates, as PEM, by which a server knows the holders of these keys.

    Each key may sign certificates for those who connect, and a hospital signs one for itself, so that nothing has to
    be sent to it. The root above them is made for this list alone, and its private key is kept nowhere.

    Args:
        keys: fingerprint -> key.
    """
    signer = ec.generate_private_key(ec.SECP384R1())
    root = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Consilium enrolled keys")])
    until = datetime.now(UTC) + AUTHORITY_YEARS * _YEAR
    certificates = [
        _certificate(root, root, signer.public_key(), until)
        .add_extension(x509.BasicConstraints(ca=True, path_length=1), critical=True)
        .add_extension(_usage(signs_certificates=True), critical=True)
        .sign(signer, hashes.SHA384())
    ]
    for fingerprint, key in keys.items():
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, fingerprint)])
        certificates.append(
            _certificate(name, root, key, until)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
            .sign(signer, hashes.SHA384())
        )
    return b"".join(certificate_bytes(certificate) for certificate in certificates)


def certificate_bytes(certificate: x509.Certificate) -> bytes:
    """A certificate as PEM."""
    return certificate.public_bytes(serialization.Encoding.PEM)


def key_bytes(key: ec.EllipticCurvePrivateKey) -> bytes:
    """A private key as PEM."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def read_certificate(path: Path, remedy: str) -> x509.Certificate:
    """The first certificate in a PEM file, which may hold its private key too.

    Raises:
        InputError: if there is none; it ends with the remedy.
    """
    try:
        return x509.load_pem_x509_certificate(path.read_bytes())
    except FileNotFoundError:
        raise MissingFileError(str(path), "there is no such file", remedy) from None
    except ValueError:
        raise UnreadableFileError(str(path), "holds no certificate", remedy) from None


def read_signer(path: Path) -> ec.EllipticCurvePrivateKey:
    """The private key of the authority.

    Raises:
        InputError: if the file is missing or holds none.
    """
    remedy = "put it back from a backup"
    try:
        key = serialization.load_pem_private_key(path.read_bytes(), password=None)
    except FileNotFoundError:
        raise MissingFileError(str(path), "there is no such file", remedy) from None
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise UnreadableFileError(str(path), "holds no private key of this authority", remedy)
    return key


def _certificate(
    subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, until: datetime
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(datetime.now(UTC) - _DAY)  # clocks of hospitals differ
        .not_valid_after(until)
    )


def _usage(signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _alternative(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)
