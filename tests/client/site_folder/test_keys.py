"""The key that speaks for a hospital: in the form Flower takes, and nothing else is taken for one."""

import base64
import struct
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.serialization import PrivateFormat

from client.site_folder.keys import (
    is_signed,
    new_key,
    read_key,
    read_public_key,
    sign,
)
from common.errors import MissingFileError, UnreadableFileError
from common.node_keys import fingerprint, public_text

KNOWN = (
    b"ecdsa-sha2-nistp384 AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBMFlb7UtL9qb/zREuHkJbX3Ar6i9nJJkylLT"
    b"Xnq13jy6278QbspIx0Eqqhtchc6xIsPieUnb+DlMSNaPTFfDXvDL0WfqoI3sHuOkNLyc1kkdntZRQzulxcuD2JYa4QAIKw== root@vm\n"
)
KNOWN_FINGERPRINT = "SHA256:GYrLHRB5q/LunLhQyRK2BVlFbFY5HE0FdUBr4TU5vhA"
"""Fingerprint that `ssh-keygen -l` of OpenSSH 9.2 prints."""


def written(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    assert fingerprint(read_public_key(written(tmp_path / "key.pub", KNOWN))) == KNOWN_FINGERPRINT


def test_a_new_key_reads_as_itself_and_is_like_no_other(tmp_path: Path) -> None:
    (private, public), (_, other) = new_key(), new_key()
    key = read_key(written(tmp_path / "key", private))
    assert isinstance(key.curve, ec.SECP384R1)
    assert public_text(key.public_key()) == public != other
    assert read_public_key(written(tmp_path / "key.pub", public)) == key.public_key()
    assert public.startswith(b"ecdsa-sha2-nistp384 ")
    assert len(public.split()) == 2, "no comment that would tell who made it where"


def test_a_signature_holds_for_its_content_and_its_key_alone(tmp_path: Path) -> None:
    one, other = (read_key(written(tmp_path / name, new_key()[0])) for name in ("one", "other"))
    signature = sign(one, b"receipt")
    assert is_signed(one.public_key(), b"receipt", signature)
    assert not is_signed(one.public_key(), b"receipts", signature)
    assert not is_signed(other.public_key(), b"receipt", signature)
    for spoilt in ("", "no base64!", signature[:-8], sign(other, b"receipt")):
        assert not is_signed(one.public_key(), b"receipt", spoilt)


def private(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, form: PrivateFormat) -> bytes:
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def protected() -> bytes:
    """A key as `ssh-keygen -N PASSWORD` would write it, as far as it is read without the password."""

    def part(content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + content

    blob = base64.b64decode(KNOWN.split()[1])
    rounds = part(part(b"salt" * 4) + struct.pack(">I", 16))
    content = part(b"aes256-ctr") + part(b"bcrypt") + rounds + struct.pack(">I", 1) + part(blob)
    body = base64.encodebytes(b"openssh-key-v1\0" + content + part(b"\0" * 208))
    return b"-----BEGIN OPENSSH PRIVATE KEY-----\n" + body + b"-----END OPENSSH PRIVATE KEY-----\n"


WRONG = {
    "garbage": b"CANARY-8371",
    "nothing": b"",
    "its public half": KNOWN,
    "another kind of key": private(ed25519.Ed25519PrivateKey.generate(), PrivateFormat.OpenSSH),
    "another form": private(ec.generate_private_key(ec.SECP384R1()), PrivateFormat.PKCS8),
    "a torn file": new_key()[0][:200],
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_no_node_key_is_one_sentence(tmp_path: Path, case: str) -> None:
    for read in (read_key, read_public_key):
        if case == "its public half" and read is read_public_key:
            continue
        with pytest.raises(UnreadableFileError) as raised:
            read(written(tmp_path / "node_key", WRONG[case]))
        assert raised.value.where == str(tmp_path / "node_key")
        assert "CANARY" not in str(raised.value)


def test_a_key_behind_a_password_is_one_sentence(tmp_path: Path) -> None:
    with pytest.raises(UnreadableFileError):
        read_key(written(tmp_path / "node_key", protected()))


def test_a_missing_key_says_where_it_comes_from(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError) as private:
        read_key(tmp_path / "node_key")
    assert private.value.where == str(tmp_path / "node_key")
    assert "consilium site init" in private.value.remedy
    with pytest.raises(MissingFileError) as public:
        read_public_key(tmp_path / "node_key.pub")
    assert public.value.where == str(tmp_path / "node_key.pub")


def test_a_new_keys_fingerprint_is_the_one_of_ssh_keygen(tmp_path: Path) -> None:
    path = written(tmp_path / "key.pub", new_key()[1])
    printed = subprocess.run(["ssh-keygen", "-lf", path], capture_output=True, text=True, check=True)
    assert printed.stdout.split()[1] == fingerprint(read_public_key(path))


def test_no_key_and_no_keys_text_are_refused(tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        read_key(tmp_path / "none")
    path = written(tmp_path / "key", b"no key")
    with pytest.raises(UnreadableFileError):
        read_key(path)
    with pytest.raises(UnreadableFileError):
        read_public_key(path)
