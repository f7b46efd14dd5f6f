import base64
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from common.countersignature import Received, countersigned
from common.errors import MissingFileError, UnreadableFileError
from common.node_keys import public_text
from common.release.signing import PURPOSE, is_signed, read_verifying_key, signature_of
from tests.released import certificate

N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973


@pytest.fixture(scope="module")
def key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP384R1())


@pytest.mark.parametrize("curve", [ec.SECP256R1(), ec.SECP384R1()])
def test_a_signature_is_of_this_content_by_this_key_and_always_the_same(curve: ec.EllipticCurve) -> None:
    key = ec.generate_private_key(curve)
    for number in range(8):
        content = b"manifest %d" % number
        signature = signature_of(content, key)
        assert signature == signature_of(content, key)
        assert is_signed(content, signature, key.public_key())
        assert not is_signed(content + b"\n", signature, key.public_key())
        assert not is_signed(content, signature, ec.generate_private_key(curve).public_key())


def test_no_other_spelling_of_a_signature_verifies(key: ec.EllipticCurvePrivateKey) -> None:
    signature, public = signature_of(b"content", key), key.public_key()
    first, second = decode_dss_signature(base64.b64decode(signature))
    other = base64.b64encode(encode_dss_signature(first, N - second)) + b"\n"
    plain = base64.b64decode(other)
    public.verify(plain, PURPOSE + b"content", ec.ECDSA(hashes.SHA384()))  # as ECDSA has it, both are right
    assert not is_signed(b"content", other, public)
    for index in range(len(signature)):
        for bit in range(8):
            changed = bytearray(signature)
            changed[index] ^= 1 << bit
            assert not is_signed(b"content", bytes(changed), public)
    for text in (b"", signature.strip(), signature + b"\n", b"\xff" + signature):
        assert not is_signed(b"content", text, public)


def test_a_countersignature_of_receipts_is_no_signature_of_a_release(key: ec.EllipticCurvePrivateKey) -> None:
    received = Received.of("SHA256:key", [])
    text = countersigned(received, key)
    signature = text.rpartition('"signature": "')[2].removesuffix('"}').encode() + b"\n"
    assert not is_signed(received.model_dump_json().encode(), signature, key.public_key())


def test_a_key_is_read_from_a_certificate_or_alone(key: ec.EllipticCurvePrivateKey, tmp_path: Path) -> None:
    pem = serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    contents = (certificate(key), key.public_key().public_bytes(*pem), public_text(key.public_key()))
    for content in contents:
        (tmp_path / "key").write_bytes(content)
        assert read_verifying_key(tmp_path / "key", "x").public_numbers() == key.public_key().public_numbers()
    private = key.private_bytes(pem[0], serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    for content in (b"", b"text", private):
        (tmp_path / "key").write_bytes(content)
        with pytest.raises(UnreadableFileError):
            read_verifying_key(tmp_path / "key", "x")
    with pytest.raises(MissingFileError):
        read_verifying_key(tmp_path / "none", "x")
