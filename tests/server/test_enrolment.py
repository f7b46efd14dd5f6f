from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519

from common.errors import InputError
from server import admission
from server.admission import enrol_site
from server.enrolment import Enrolment, fingerprint, read_enrolled, write_enrolled
from server.home import Home, create

WriteKey = Callable[..., Path]
KEY = (
    "AAAAE2VjZHNhLXNoYTItbmlzdHAzODQAAAAIbmlzdHAzODQAAABhBAjIYM9qjWv+JZPx9vG3Nhg4k3WgOBTUsRsd"
    "dPMzWyjS6LFQ2Fp/sfcSqCBXzpTDVLDJX5vYcpuOMsTBYmkFLLQKHn7GPl2DqYWCkcAYx6pm//zFR0rN157452gE"
    "RsxU+A=="
)
PRINTED = "SHA256:gP/qbfidjLo/3hp6IsxAhgvkeWCSivhw/LNdg1/n8sA"  # by ssh-keygen -l


@pytest.fixture
def write_key(tmp_path: Path) -> WriteKey:
    """Writes a key pair NAME and NAME.pub in OpenSSH form; the path of the public one."""

    def write(name: str, key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | None = None) -> Path:
        key = key or ec.generate_private_key(ec.SECP384R1())
        ssh = serialization.PrivateFormat.OpenSSH
        private = key.private_bytes(serialization.Encoding.PEM, ssh, serialization.NoEncryption())
        (tmp_path / name).write_bytes(private)
        public = tmp_path / f"{name}.pub"
        public.write_bytes(
            key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
        )
        return public

    return write


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Home:
    """A home whose SuperLink is a function that counts."""
    nodes = iter(range(100, 200))
    monkeypatch.setattr(admission, "require_running", lambda home: None)
    monkeypatch.setattr(admission, "register", lambda home, key: next(nodes))
    return create(tmp_path / "home", "localhost", 9443, None)


def test_a_key_speaks_for_one_hospital(home: Home, write_key: WriteKey) -> None:
    first, second = write_key("first"), write_key("second")
    enrolment = enrol_site(home, "hospital 1", first)
    enrol_site(home, "hospital 2", second)
    enrolled = read_enrolled(home.enrolled)
    assert enrolled["hospital 1"] == enrolment
    assert {site: one.node_id for site, one in enrolled.items()} == {"hospital 1": 100, "hospital 2": 101}
    assert enrolled["hospital 2"].fingerprint == fingerprint(second) != enrolment.fingerprint


def test_a_name_or_a_key_is_enrolled_once(home: Home, write_key: WriteKey) -> None:
    first, second = write_key("first"), write_key("second")
    enrol_site(home, "hospital 1", first)
    before = home.enrolled.read_bytes()
    with pytest.raises(InputError, match="hospital 1 is enrolled since"):
        enrol_site(home, "hospital 1", second)
    with pytest.raises(InputError, match="is the key of hospital 1"):
        enrol_site(home, "hospital 2", first)
    with pytest.raises(InputError, match="is no name"):
        enrol_site(home, "hospital\n2", second)
    assert home.enrolled.read_bytes() == before


def test_a_private_key_is_refused_and_not_repeated(home: Home, write_key: WriteKey) -> None:
    private = write_key("first").with_suffix("")
    with pytest.raises(InputError, match="is a private key") as refused:
        enrol_site(home, "hospital 1", private)
    assert private.read_text().splitlines()[1] not in str(refused.value)


@pytest.mark.parametrize("kind", ["ed25519", "P-256", "text", "missing"])
def test_only_ecdsa_on_p384_is_taken(home: Home, write_key: WriteKey, tmp_path: Path, kind: str) -> None:
    keys = {"ed25519": ed25519.Ed25519PrivateKey.generate(), "P-256": ec.generate_private_key(ec.SECP256R1())}
    path = write_key("key", keys[kind]) if kind in keys else tmp_path / "key.pub"
    if kind == "text":
        path.write_text("no key\n")
    told = "there is no such file" if kind == "missing" else "is no ECDSA key on P-384"
    with pytest.raises(InputError, match=told):
        enrol_site(home, "hospital 1", path)
    assert read_enrolled(home.enrolled) == {}


def test_the_fingerprint_is_the_one_that_ssh_keygen_prints(tmp_path: Path) -> None:
    (tmp_path / "key.pub").write_text(f"ecdsa-sha2-nistp384 {KEY} a comment\n")
    assert fingerprint(tmp_path / "key.pub") == PRINTED


def test_a_damaged_file_is_told(tmp_path: Path) -> None:
    path = tmp_path / "enrolled.json"
    with pytest.raises(InputError, match="there is no such file"):
        read_enrolled(path)
    write_enrolled(path, {"one": Enrolment(fingerprint="SHA256:x", node_id=2**63 + 5, since="now")})
    assert read_enrolled(path)["one"].node_id == 2**63 + 5
    path.write_text('{"one": {"node_id": "x"}}')
    with pytest.raises(InputError, match="is damaged"):
        read_enrolled(path)
