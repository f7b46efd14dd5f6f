import json
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import NameOID

from common.errors import (
    InputError,
    IntegrityError,
    MissingFileError,
    OptionError,
    StateError,
    UnreadableFileError,
)
from common.node_keys import fingerprint, public_text
from server.commands import enrol as admission
from server.commands.enrol import enrol_site, keep_public_keys, withdraw_site
from server.home.nginx import TRUSTED
from server.home.places import CoordinatorHome, create_home
from server.participants.enrolment import read_enrolled, read_node_key, read_withdrawn
from server.services.door import open_to_enrolled
from server.services.superlink import Node


def fingerprint_of(public_key: Path) -> str:
    return fingerprint(read_node_key(public_key))


WriteKey = Callable[..., Path]


class Killed(BaseException):
    """The command ends here."""


class SuperLink:
    """Keeps keys as Flower does: a key is registered once, and what is unregistered stays so."""

    def __init__(self) -> None:
        self.known: dict[str, Node] = {}
        self.keys: dict[str, str] = {}

    def register(self, home: CoordinatorHome, public_key: Path) -> int:
        print_ = fingerprint_of(public_key)
        if print_ in self.known:
            raise InputError("the SuperLink", "Public key already in use", "look at its log")
        self.known[print_] = Node(100 + len(self.known), False)
        self.keys[print_] = public_text(read_node_key(public_key)).decode().strip()
        return self.known[print_].number

    def unregister(self, home: CoordinatorHome, number: int) -> None:
        (print_,) = (key for key, node in self.known.items() if node == Node(number, False))
        self.known[print_] = Node(number, True)


@pytest.fixture
def superlink(monkeypatch: pytest.MonkeyPatch) -> SuperLink:
    fake = SuperLink()
    monkeypatch.setattr(admission, "require_running", lambda home: None)
    monkeypatch.setattr(admission, "register_node", fake.register)
    monkeypatch.setattr(admission, "unregister", fake.unregister)
    monkeypatch.setattr(admission, "known_keys", lambda home: dict(fake.known))
    monkeypatch.setattr(admission, "public_keys", lambda home: dict(fake.keys))
    return fake


@pytest.fixture
def home(tmp_path: Path, superlink: SuperLink) -> CoordinatorHome:
    return create_home(tmp_path / "home", "localhost", 9443, None)


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


@contextmanager
def killed_at(function: str) -> Iterator[None]:
    """A command that calls this function does not come back from it."""

    def die(*_: object) -> None:
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(admission, function, die)
        yield


def test_a_key_speaks_for_one_hospital(home: CoordinatorHome, write_key: WriteKey) -> None:
    first, second = write_key("first"), write_key("second")
    enrolment = enrol_site(home, "hospital 1", first)
    enrol_site(home, "hospital 2", second)
    enrolled = read_enrolled(home.enrolled)
    assert enrolled["hospital 1"] == enrolment
    assert {site: one.node_id for site, one in enrolled.items()} == {"hospital 1": 100, "hospital 2": 101}
    assert enrolled["hospital 2"].fingerprint == fingerprint_of(second) != enrolment.fingerprint


def test_a_name_is_enrolled_and_withdrawn_in_any_spelling(home: CoordinatorHome, write_key: WriteKey) -> None:
    first = write_key("first")
    enrol_site(home, "Universita\u0308tsspital ", first)
    assert set(read_enrolled(home.enrolled)) == {"Universit\u00e4tsspital"}
    with pytest.raises(StateError):
        enrol_site(home, "Universit\u00e4tsspital", write_key("second"))
    assert withdraw_site(home, "Universita\u0308tsspital").site == "Universit\u00e4tsspital"
    assert read_enrolled(home.enrolled) == {}


def test_a_command_that_is_told_can_be_pasted(home: CoordinatorHome, write_key: WriteKey) -> None:
    enrol_site(home, "St. Mary's", write_key("first"))
    with pytest.raises(StateError) as raised:
        enrol_site(home, "St. Mary's", write_key("second"))
    command = shlex.split(raised.value.remedy.split("`")[1])
    assert command[-2:] == [str(home.folder), "St. Mary's"]


def let_in(home: CoordinatorHome) -> set[str]:
    """Names in the certificates that nginx is told to trust, its own root's aside."""
    certificates = x509.load_pem_x509_certificates((home.proxy / TRUSTED).read_bytes())
    names = {str(one.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value) for one in certificates}
    return names - {"Consilium enrolled keys"}


def test_the_door_knows_who_is_enrolled_and_nobody_else(home: CoordinatorHome, write_key: WriteKey) -> None:
    first, second = write_key("first"), write_key("second")
    enrol_site(home, "hospital 1", first)
    enrol_site(home, "hospital 2", second)
    assert let_in(home) == {fingerprint_of(first), fingerprint_of(second)}
    withdraw_site(home, "hospital 1")
    assert let_in(home) == {fingerprint_of(second)}


def test_a_key_that_an_earlier_version_enrolled_is_let_in_without_the_hospital(
    home: CoordinatorHome, write_key: WriteKey
) -> None:
    key = write_key("first")
    enrolment = enrol_site(home, "hospital 1", key)
    earlier = enrolment.model_dump(exclude={"public_key"})
    home.enrolled.write_text(json.dumps({"hospital 1": earlier}))
    open_to_enrolled(home)
    assert let_in(home) == set()
    assert keep_public_keys(home) == ("hospital 1",)
    assert read_enrolled(home.enrolled)["hospital 1"] == enrolment
    assert let_in(home) == {fingerprint_of(key)}
    assert keep_public_keys(home) == ()


def test_a_key_that_is_not_the_one_of_its_fingerprint_is_let_in_by_nobody(
    home: CoordinatorHome, write_key: WriteKey
) -> None:
    enrolment = enrol_site(home, "hospital 1", write_key("first"))
    other = read_node_key(write_key("other"))
    changed = {**enrolment.model_dump(), "public_key": public_text(other).decode()}
    home.enrolled.write_text(json.dumps({"hospital 1": changed}))
    with pytest.raises(IntegrityError):
        open_to_enrolled(home)


def test_a_name_has_one_key_and_a_key_one_name(home: CoordinatorHome, write_key: WriteKey) -> None:
    first, second = write_key("first"), write_key("second")
    enrol_site(home, "hospital 1", first)
    before = home.enrolled.read_bytes()
    with pytest.raises(StateError) as another_key:
        enrol_site(home, "hospital 1", second)
    assert another_key.value.where == str(home.enrolled)
    assert "consilium coordinator withdraw" in another_key.value.remedy
    with pytest.raises(StateError) as another_name:
        enrol_site(home, "hospital 2", first)
    assert another_name.value.where == str(first)
    assert "hospital 1" in another_name.value.what
    with pytest.raises(OptionError):
        enrol_site(home, "hospital\n2", second)
    assert home.enrolled.read_bytes() == before


@pytest.mark.parametrize("function", ["register_node", "write_enrolled"])
def test_an_enrolment_that_was_killed_is_repeated(
    home: CoordinatorHome, superlink: SuperLink, write_key: WriteKey, function: str
) -> None:
    key = write_key("first")
    with killed_at(function), pytest.raises(Killed):
        enrol_site(home, "hospital 1", key)
    assert read_enrolled(home.enrolled) == {}
    assert len(superlink.known) == (function == "write_enrolled")
    assert enrol_site(home, "hospital 1", key).node_id == 100
    assert enrol_site(home, "hospital 1", key) == read_enrolled(home.enrolled)["hospital 1"]
    assert len(superlink.known) == 1


def test_an_enrolment_is_repaired_after_the_superlink_lost_its_database(
    home: CoordinatorHome, superlink: SuperLink, write_key: WriteKey
) -> None:
    other, key = write_key("other"), write_key("first")
    since = enrol_site(home, "hospital 1", key).since
    superlink.known.clear()
    superlink.register(home, other)
    again = enrol_site(home, "hospital 1", key)
    assert (again.node_id, again.since) == (101, since)


def test_a_withdrawn_key_stays_dead_and_the_name_can_have_another(
    home: CoordinatorHome, superlink: SuperLink, write_key: WriteKey
) -> None:
    lost, new = write_key("lost"), write_key("new")
    enrolment = enrol_site(home, "hospital 1", lost)
    withdrawal = withdraw_site(home, "hospital 1")
    assert read_enrolled(home.enrolled) == {}
    assert read_withdrawn(home.withdrawn) == (withdrawal,)
    assert (withdrawal.site, withdrawal.since) == ("hospital 1", enrolment.since)
    assert superlink.known[fingerprint_of(lost)] == Node(enrolment.node_id, True)
    for name in ("hospital 1", "hospital 2"):
        with pytest.raises(StateError) as dead:
            enrol_site(home, name, lost)
        assert dead.value.where == str(lost)
        assert all(fact in dead.value.what for fact in ("hospital 1", withdrawal.until))
    enrol_site(home, "hospital 1", new)
    assert withdraw_site(home, "hospital 1").fingerprint == fingerprint_of(new)
    assert [one.fingerprint for one in read_withdrawn(home.withdrawn)] == [
        fingerprint_of(lost),
        fingerprint_of(new),
    ]


@pytest.mark.parametrize("function", ["unregister", "write_enrolled"])
def test_a_withdrawal_that_was_killed_holds_and_is_repeated(
    home: CoordinatorHome, superlink: SuperLink, write_key: WriteKey, function: str
) -> None:
    key = write_key("lost")
    enrol_site(home, "hospital 1", key)
    with killed_at(function), pytest.raises(Killed):
        withdraw_site(home, "hospital 1")
    (begun,) = read_withdrawn(home.withdrawn)
    with pytest.raises(StateError) as dead:
        enrol_site(home, "hospital 1", key)
    assert begun.until in dead.value.what
    assert withdraw_site(home, "hospital 1") == begun
    assert superlink.known[fingerprint_of(key)].unregistered
    assert (read_enrolled(home.enrolled), read_withdrawn(home.withdrawn)) == ({}, (begun,))


def test_who_is_not_enrolled_cannot_be_withdrawn(home: CoordinatorHome, write_key: WriteKey) -> None:
    with pytest.raises(StateError) as stranger:
        withdraw_site(home, "hospital 1")
    assert "hospital 1" in stranger.value.what
    assert "`consilium coordinator status" in stranger.value.remedy
    enrol_site(home, "hospital 1", write_key("first"))
    until = withdraw_site(home, "hospital 1").until
    with pytest.raises(StateError) as ended:
        withdraw_site(home, "hospital 1")
    assert all(fact in ended.value.what for fact in ("hospital 1", until))


def test_a_key_that_was_unregistered_by_hand_is_told(
    home: CoordinatorHome, superlink: SuperLink, write_key: WriteKey
) -> None:
    key = write_key("first")
    superlink.known[fingerprint_of(key)] = Node(5, True)
    with pytest.raises(StateError) as refused:
        enrol_site(home, "hospital 1", key)
    assert refused.value.where == str(key)
    assert read_enrolled(home.enrolled) == {}


def test_nothing_changes_while_the_coordinator_does_not_run(
    home: CoordinatorHome, write_key: WriteKey, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrol_site(home, "hospital 1", write_key("first"))
    monkeypatch.undo()
    for change in (lambda: withdraw_site(home, "hospital 1"), lambda: enrol_site(home, "b", write_key("b"))):
        with pytest.raises(StateError) as refused:
            change()
        assert refused.value.where == str(home.folder)
    assert set(json.loads(home.enrolled.read_text())) == {"hospital 1"}
    assert not home.withdrawn.exists()


def test_a_private_key_is_refused_and_not_repeated(home: CoordinatorHome, write_key: WriteKey) -> None:
    private = write_key("first").with_suffix("")
    with pytest.raises(UnreadableFileError) as refused:
        enrol_site(home, "hospital 1", private)
    assert refused.value.where == str(private)
    assert private.read_text().splitlines()[1] not in str(refused.value)


@pytest.mark.parametrize("kind", ["ed25519", "P-256", "text", "missing"])
def test_only_ecdsa_on_p384_is_taken(
    home: CoordinatorHome, write_key: WriteKey, tmp_path: Path, kind: str
) -> None:
    keys = {"ed25519": ed25519.Ed25519PrivateKey.generate(), "P-256": ec.generate_private_key(ec.SECP256R1())}
    path = write_key("key", keys[kind]) if kind in keys else tmp_path / "key.pub"
    if kind == "text":
        path.write_text("no key\n")
    with pytest.raises(MissingFileError if kind == "missing" else UnreadableFileError) as refused:
        enrol_site(home, "hospital 1", path)
    assert refused.value.where == str(path)
    assert read_enrolled(home.enrolled) == {}
