"""A new certificate for the coordinator's address, and the services that have to serve it.

Key and certificate are one file, which is renamed into place: whoever is killed meanwhile leaves the earlier pair or
the new one. nginx reads it again when asked to; the SuperLink cannot: it is ended, and its supervisor starts it again.
Hospitals try again by themselves, and a run goes on.
"""

import shlex
import signal
import ssl
import time
from datetime import UTC, datetime

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from pydantic import BaseModel, ConfigDict

from common.errors import IntegrityError, StateError
from common.files import write_whole
from common.processes.supervision_state import read_state
from common.processes.task_launcher import LOOPBACK
from server.home.certificates import (
    certificate_bytes,
    key_bytes,
    new_server,
    read_certificate,
    read_signer,
)
from server.home.places import CoordinatorHome, exclusive
from server.services.door import PROXY, signal_service, write_trusted
from server.services.processes import SUPERLINK

WARN_DAYS = 30


NEW_AUTHORITY = "make a new authority as deploy/README.md says under `Certificates and keys`"


_RESTART = "stop the coordinator and start it again"


PATIENCE_S, POLL_S = 60.0, 0.2
"""Seconds that the services may take to serve a new certificate, and seconds between two looks."""


class Expiry(BaseModel):
    """ISO dates on which the coordinator's certificate and its authority end, with warnings."""

    model_config = ConfigDict(frozen=True)

    certificate_until: str
    authority_until: str
    warnings: tuple[str, ...]


def expiry(home: CoordinatorHome) -> Expiry:
    """Return the dates on which the certificates end.

    A warning comes from `WARN_DAYS` before, or if services that run serve another certificate.

    Raises:
        InputError: if one of them cannot be read.
    """
    renew = f"make a new one by `consilium coordinator renew {shlex.quote(str(home.folder))}`"
    certificate = read_certificate(home.certificate, renew)
    server = certificate.not_valid_after_utc
    authority = read_certificate(home.authority, "put it back from a backup").not_valid_after_utc
    expiries = (
        ("certificate authority", authority, NEW_AUTHORITY),
        ("certificate", server, renew if server < authority else NEW_AUTHORITY),
    )
    warnings = [_warning(what, until, remedy) for what, until, remedy in expiries if _left(until) < WARN_DAYS]
    if read_state(home.services) is not None and {*served(home)} - {None, _der(certificate)}:
        warnings.append(f"the services serve another certificate than the one in place; {_RESTART}")
    return Expiry(
        certificate_until=server.date().isoformat(),
        authority_until=authority.date().isoformat(),
        warnings=tuple(warnings),
    )


def renew(home: CoordinatorHome, patience_s: float = PATIENCE_S) -> bool:
    """Replace the coordinator's key and certificate, and have its services serve the new one.

    Returns:
        Whether it is served now; if not, the coordinator does not run and serves it from its next start.

    Raises:
        InputError: if the authority's certificate has ended or its key is missing, or the services do not take it.
    """
    with exclusive(home):
        backup = "put it back from a backup"
        authority, signer = read_certificate(home.authority, backup), read_signer(home.authority_key)
        if _left(authority.not_valid_after_utc) <= 0:
            raise StateError(str(home.authority), "the certificate authority has expired", NEW_AUTHORITY)
        if authority.public_key() != signer.public_key():
            raise IntegrityError(str(home.authority_key), f"is not the key of {home.authority}", backup)
        certificate, key = new_server(authority, signer, [home.settings().host])
        write_whole(home.certificate, key_bytes(key) + certificate_bytes(certificate), 0o600)
        return _serve(home, certificate, patience_s)


def _serve(home: CoordinatorHome, certificate: x509.Certificate, patience_s: float) -> bool:
    write_trusted(home)
    if (state := read_state(home.services)) is None:
        return False
    for name, number in ((PROXY, signal.SIGHUP), (SUPERLINK, signal.SIGTERM)):
        if name in state.services:
            signal_service(state.services[name], number)
    end = time.monotonic() + patience_s
    while {*served(home)} != {_der(certificate)}:
        if time.monotonic() > end:
            what = "the new certificate is in place, but the services do not serve it"
            raise StateError(str(home.folder), what, _RESTART)
        time.sleep(POLL_S)
    return True


def served(home: CoordinatorHome) -> tuple[bytes | None, bytes | None]:
    """Certificates in DER that the proxy and the SuperLink serve; None where none answers."""
    settings = home.settings()
    return _served(settings.port), _served(settings.internal_port)


def _served(port: int) -> bytes | None:
    try:
        return ssl.PEM_cert_to_DER_cert(ssl.get_server_certificate((LOOPBACK, port), timeout=5))
    except OSError:
        return None


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.DER)


def _left(until: datetime) -> float:
    """Days."""
    return (until - datetime.now(UTC)).total_seconds() / 86400


def _warning(what: str, until: datetime, remedy: str) -> str:
    ended = "ended" if _left(until) <= 0 else "ends"
    return f"the {what} {ended} on {until.date()}; {remedy}"
