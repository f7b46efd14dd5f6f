"""A certificate of the node key, known by the enrolled key and by nothing else."""

import os
import ssl
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID

from client.site_folder.certificate import new_certificate, show_certificate
from common.node_keys import fingerprint
from server.home.certificates import new_trust_list

Key = ec.EllipticCurvePrivateKey


@pytest.fixture(scope="module")
def key() -> Key:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.fixture(scope="module")
def other() -> Key:
    return ec.generate_private_key(ec.SECP384R1())


def accepted(shown: Key, *enrolled: Key) -> bool:
    """Whether a server that trusts the enrolled keys takes the certificate of another, in one TLS handshake."""
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    show_certificate(server, enrolled[0])
    server.verify_mode = ssl.CERT_REQUIRED
    keys = {fingerprint(one.public_key()): one.public_key() for one in enrolled}
    server.load_verify_locations(cadata=new_trust_list(keys).decode())
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
    show_certificate(client, shown)
    to_server, to_client = ssl.MemoryBIO(), ssl.MemoryBIO()
    one = client.wrap_bio(to_client, to_server)
    two = server.wrap_bio(to_server, to_client, server_side=True)
    done: set[ssl.SSLObject] = set()
    while done != {one, two}:
        for side in (one, two):
            try:
                side.do_handshake()
                done.add(side)
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLCertVerificationError:
                return False
    return True


def test_an_enrolled_key_is_known_by_its_certificate(key: Key, other: Key) -> None:
    assert accepted(key, key)
    assert accepted(key, other, key)


def test_no_other_key_is(key: Key, other: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    assert not accepted(key, other)
    named = fingerprint(other.public_key())
    monkeypatch.setattr("client.site_folder.certificate.fingerprint", lambda _: named)
    assert not accepted(key, other), "in the name of an enrolled key"


def test_it_can_sign_nothing_and_serve_nobody(key: Key) -> None:
    certificate = new_certificate(key)
    assert certificate.public_key() == key.public_key()
    constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    assert constraints.value.ca is False
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert list(usage) == [ExtendedKeyUsageOID.CLIENT_AUTH]


def test_the_private_key_is_written_to_no_disk(
    key: Key, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    before = set(os.listdir("/proc/self/fd"))
    show_certificate(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), key)
    assert list(tmp_path.iterdir()) == []
    assert set(os.listdir("/proc/self/fd")) == before
