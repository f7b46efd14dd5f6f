import os
import signal
import ssl
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from common.errors import IntegrityError, MissingFileError, StateError
from common.processes.supervision_state import ServiceState, State, birth_of
from server.commands import renew as renewal
from server.commands.renew import NEW_AUTHORITY, expiry, renew
from server.home.certificates import (
    certificate_bytes,
    key_bytes,
    new_authority,
    new_server,
    read_certificate,
    read_signer,
)
from server.home.places import CoordinatorHome, create_home
from server.services.door import PROXY
from server.services.processes import SUPERLINK


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return create_home(tmp_path / "home", "hub.example.org", 9443, None)


def is_a_pair(home: CoordinatorHome) -> bool:
    """Whether a server could serve with the file, as key and as certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(home.certificate, home.certificate)
    return stat.S_IMODE(home.certificate.stat().st_mode) == 0o600


def served_by(home: CoordinatorHome) -> bytes:
    return ssl.PEM_cert_to_DER_cert(certificate_bytes(read_certificate(home.certificate, "")).decode())


def age(home: CoordinatorHome, server_days: float, authority_days: float) -> None:
    """Put an authority and a certificate in place that end in so many days."""
    authority, signer = new_authority("old", years=authority_days / 365)
    server, key = new_server(authority, signer, ["hub.example.org"], years=server_days / 365)
    home.authority.write_bytes(certificate_bytes(authority))
    home.authority_key.write_bytes(key_bytes(signer))
    home.certificate.write_bytes(key_bytes(key) + certificate_bytes(server))


def test_the_new_pair_is_of_the_same_authority_and_names(home: CoordinatorHome) -> None:
    before, authority = read_certificate(home.certificate, ""), home.authority.read_bytes()
    assert renew(home) is False
    after = read_certificate(home.certificate, "")
    assert is_a_pair(home)
    after.verify_directly_issued_by(read_certificate(home.authority, ""))
    assert home.authority.read_bytes() == authority
    assert after.public_key() != before.public_key()
    names = [
        one.extensions.get_extension_for_class(x509.SubjectAlternativeName).value for one in (before, after)
    ]
    assert names[0] == names[1]
    assert {path.name for path in home.secrets.iterdir()} == {"ca.key", "server.pem", "superexec.secret"}


class Killed(BaseException):
    """The command ends here."""


@contextmanager
def killed_at(function: str) -> Iterator[None]:
    """A command that calls this function does not come back from it; what it writes is left half written."""

    def die(*arguments: object) -> None:
        if function == "write_secret":
            path, content = arguments
            assert isinstance(path, Path)
            assert isinstance(content, bytes)
            path.write_bytes(content[:200])
        raise Killed

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(renewal, function, die)
        yield


@pytest.mark.parametrize("function", ["new_server", "write_whole", "_serve"])
def test_who_is_killed_meanwhile_leaves_a_pair_and_can_try_again(
    home: CoordinatorHome, function: str
) -> None:
    before = home.certificate.read_bytes()

    with killed_at(function), pytest.raises(Killed):
        renew(home)
    assert is_a_pair(home)
    assert (home.certificate.read_bytes() == before) is (function != "_serve")
    renew(home)
    assert is_a_pair(home)
    assert {path.name for path in home.secrets.iterdir()} == {"ca.key", "server.pem", "superexec.secret"}


class Services:
    """A supervisor's state, the signals its services get, and what they serve from then on."""

    def __init__(self, home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch) -> None:
        mine = os.getpid()
        one = ServiceState(pid=mine, birth=birth_of(mine))
        services = {SUPERLINK: one, PROXY: one}
        home.services.write_text(
            State(pid=mine, birth=birth_of(mine) or "", services=services).model_dump_json()
        )
        self.home, self.signals, self.stubborn = home, list[int](), False
        self.serving: dict[int, bytes | None] = {
            port: served_by(home) for port in (home.settings().port, home.settings().internal_port)
        }
        monkeypatch.setattr(signal, "pidfd_send_signal", lambda _, number: self.hear(number))
        monkeypatch.setattr(renewal, "_served", lambda port: self.serving[port])
        monkeypatch.setattr(renewal, "POLL_S", 0.0)

    def hear(self, number: int) -> None:
        self.signals.append(number)
        settings = self.home.settings()
        port = {signal.SIGHUP: settings.port, signal.SIGTERM: settings.internal_port}[signal.Signals(number)]
        if not self.stubborn:
            self.serving[port] = served_by(self.home)


def test_the_proxy_reads_it_again_and_the_superlink_is_started_again(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Services(home, monkeypatch)
    before = set(services.serving.values())
    assert renew(home) is True
    assert services.signals == [signal.SIGHUP, signal.SIGTERM]
    assert set(services.serving.values()) == {served_by(home)} != before


def test_services_that_do_not_take_it_are_told(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    Services(home, monkeypatch).stubborn = True
    with pytest.raises(StateError) as refused:
        renew(home, patience_s=0.0)
    assert refused.value.where == str(home.folder)
    assert is_a_pair(home)


def test_a_certificate_in_place_that_is_not_served_is_a_warning(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Services(home, monkeypatch)
    assert expiry(home).warnings == ()
    with killed_at("_serve"), pytest.raises(Killed):
        renew(home)
    (warning,) = expiry(home).warnings
    assert "certificate" in warning
    assert services.signals == []
    services.serving = dict.fromkeys(services.serving)  # none of them answers
    assert expiry(home).warnings == ()
    renew(home)
    assert expiry(home).warnings == ()


def test_no_other_process_is_signalled_in_place_of_a_service(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = Services(home, monkeypatch)
    state = State.model_validate_json(home.services.read_bytes())
    gone = {SUPERLINK: ServiceState(pid=os.getpid(), birth="earlier"), PROXY: ServiceState()}
    home.services.write_text(state.model_copy(update={"services": gone}).model_dump_json())
    with pytest.raises(StateError):
        renew(home, patience_s=0.0)
    assert services.signals == []


@pytest.mark.parametrize(
    ("server", "authority", "remedies"),
    [
        (31.5, 400, []),
        (29.5, 400, ["coordinator renew"]),
        (-0.5, 400, ["coordinator renew"]),
        (400, 29.5, [NEW_AUTHORITY, NEW_AUTHORITY]),
    ],
)
def test_what_ends_soon_is_told_with_what_to_do(
    home: CoordinatorHome, server: float, authority: float, remedies: list[str]
) -> None:
    age(home, server, authority)
    found = expiry(home)
    assert found.certificate_until <= found.authority_until
    assert len(found.warnings) == len(remedies)
    for warning, remedy in zip(found.warnings, remedies, strict=True):
        assert remedy in warning
    if server < authority and found.warnings:
        assert str(found.certificate_until)[:10] in found.warnings[0]


def test_an_authority_that_has_ended_signs_nothing(home: CoordinatorHome) -> None:
    age(home, -0.5, -0.25)
    before = home.certificate.read_bytes()
    with pytest.raises(StateError) as refused:
        renew(home)
    assert refused.value.where == str(home.authority)
    assert home.certificate.read_bytes() == before


def test_a_key_of_another_authority_or_none_signs_nothing(home: CoordinatorHome) -> None:
    mine = read_signer(home.authority_key)
    home.authority_key.write_bytes(key_bytes(ec.generate_private_key(ec.SECP384R1())))
    with pytest.raises(IntegrityError) as other:
        renew(home)
    home.authority_key.unlink()
    with pytest.raises(MissingFileError) as missing:
        renew(home)
    assert other.value.where == missing.value.where == str(home.authority_key)
    home.authority_key.write_bytes(key_bytes(mine))
    assert renew(home) is False
