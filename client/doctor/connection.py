"""Checks of the way to the coordinator: proxy, name, certificate and clock."""

import os
import socket
import ssl
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from http import HTTPStatus
from ipaddress import ip_address
from pathlib import Path

import httpx
from cryptography import x509

from client.doctor.contact import ProxyFailed, ask_health, reason_of, status_text, system_error
from client.doctor.finding import Finding, FindingCode, fail, ok, warn
from client.flower.route import Proxy, Route, route_to
from client.runtime.services import state_file
from client.site_folder.certificate import coordinator_context
from client.site_folder.keys import read_key
from client.site_folder.places import Home, read_connection
from common.errors import MachineError
from common.processes.supervision_state import read_state

SKEW_WARNS_S, SKEW_FAILS_S = 5.0, 60.0


EXPIRY_WARNS_D = 30


_NEW_AUTHORITY = "put the coordinator's ca.crt there, where the user that runs the site can read it"


_EXPIRED = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""


def proxies(home: Home) -> Iterator[Finding]:
    """Check the proxy that the service takes, or would take, to the coordinator."""
    route = _route(home)
    if route.proxy is not None:
        message = f"the coordinator is dialled through {route.proxy.address}, by {route.proxy.variable}"
    elif route.unused:
        message = f"the coordinator is dialled directly, though the environment has {', '.join(route.unused)}"
    else:
        message = "none"
    yield ok("proxy", message)


def _route(home: Home) -> Route:
    """Find the route of the running service or, if none runs, of one that would be started here.

    Raises:
        MachineError: if the environment names a proxy that cannot be used.
    """
    running = read_state(state_file(home))
    environ = None if running is None else _environment_of(running.pid)
    return route_to(read_connection(home), os.environ if environ is None else environ)


def _environment_of(pid: int) -> Mapping[str, str] | None:
    """Environment in which a process was started; None where this user may not see it."""
    try:
        entries = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="surrogateescape").split("\0")
    except OSError:
        return None
    return {name: value for name, _, value in (entry.partition("=") for entry in entries if entry)}


def _usable_route(home: Home) -> Route | None:
    """Find the route; None if there is none, of which the check of proxies tells."""
    try:
        return _route(home)
    except MachineError:
        return None


def dns(home: Home) -> Iterator[Finding]:
    """Check that the coordinator's name has an address."""
    connection = read_connection(home)
    if (route := _usable_route(home)) is None:
        return
    try:
        yield ok("dns", f"{ip_address(connection.host)} is an address")
        return
    except ValueError:
        pass
    if route.proxy is not None:
        yield ok("dns", f"{connection.host} is looked up by the proxy")
        return
    try:
        answers = socket.getaddrinfo(connection.host, connection.coordinator_port, type=socket.SOCK_STREAM)
    except OSError:
        remedy = "check the name with the coordinator, then this machine's DNS"
        yield fail("dns", FindingCode.NAME_UNKNOWN, f"{connection.host} has no address", remedy)
        return
    addresses = sorted({str(answer[4][0]) for answer in answers})
    yield ok("dns", f"{connection.host} is {', '.join(addresses)}")


def coordinator(home: Home) -> Iterator[Finding]:
    """Check that the coordinator answers, with an authentic certificate and the same time."""
    connection, route = read_connection(home), _usable_route(home)
    if route is None:
        return
    where = connection.coordinator
    key = read_key(home.key) if home.key.exists() else None
    try:
        context = coordinator_context(home.authority, key)
    except OSError:  # ssl.SSLError among them
        message = f"{where} was not asked: {home.authority} cannot be used"
        yield fail("coordinator", FindingCode.AUTHORITY_UNUSABLE, message, _NEW_AUTHORITY)
        return
    try:
        contact = ask_health(connection, context, route)
    except ProxyFailed as failure:
        assert route.proxy is not None
        yield _refused(route.proxy, where, failure)
        return
    except httpx.HTTPError as error:
        yield _silent(where, error)
        return
    if contact.status == HTTPStatus.BAD_REQUEST:  # nginx' answer to a certificate that it cannot verify
        message = f"{where} does not accept this site's key"
        remedy = (
            "have the coordinator enrol keys/node_key.pub; if it did, compare its fingerprint and the clocks"
        )
        yield fail("coordinator", FindingCode.NOT_ENROLLED, message, remedy)
    elif contact.status == HTTPStatus.OK:
        yield ok("coordinator", f"{where} answers with status 200")
    else:
        message = f"{where} answers {status_text(contact.status)}: it is there, and does not take requests"
        remedy = "have its administrator look at `consilium coordinator status`"
        yield fail("coordinator", FindingCode.COORDINATOR_UNWELL, message, remedy)
    yield _expiry("certificate", contact.expires, "ask the coordinator to renew it")
    if contact.date is None:
        message = "the coordinator does not say what time it has"
        yield warn("clock", FindingCode.CLOCK_UNKNOWN, message, "compare the clocks yourself")
        return
    yield _skew((datetime.now(UTC) - contact.date).total_seconds())


def _refused(proxy: Proxy, where: str, failure: ProxyFailed) -> Finding:
    """Report a proxy that does not lead to the coordinator."""
    if failure.status is None:
        assert failure.__cause__ is not None
        message = f"the proxy {proxy.address} does not answer ({reason_of(failure.__cause__)})"
        remedy = (
            f"correct {proxy.variable}, or list the coordinator in no_proxy if it can be dialled directly"
        )
        return fail("coordinator", FindingCode.PROXY_SILENT, message, remedy)
    message = f"the proxy {proxy.address} answers {status_text(failure.status)} and does not lead to {where}"
    if failure.status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        remedy = f"give its user and password in {proxy.variable}, as http://USER:PASSWORD@HOST:PORT"
    elif failure.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        remedy = (
            "ask whether the coordinator runs, and your network department whether the proxy can reach it"
        )
    elif where.startswith("["):  # the client asks proxies for it without its brackets, which few understand
        remedy = "ask the coordinator for a host name instead of an IPv6 address, or list it in no_proxy"
    else:
        remedy = (
            f"ask your network department to allow CONNECT to {where}; where it allows port 443 alone, ask the "
            "coordinator to listen there"
        )
    return fail("coordinator", FindingCode.PROXY_REFUSES, message, remedy)


def _silent(where: str, error: httpx.HTTPError) -> Finding:
    """Report a coordinator that does not answer, or whose certificate is not accepted."""
    cause = system_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        remedy = "compare keys/ca.crt with the coordinator's by telephone; a proxy that opens TLS must be told not to"
        if cause.verify_code == _EXPIRED:
            remedy = "ask the coordinator to renew it; if it is new, look at this machine's clock"
        message = f"that of {where} is not accepted: {cause.verify_message}"
        return fail("certificate", FindingCode.CERTIFICATE_REFUSED, message, remedy)
    message = f"{where} does not answer ({reason_of(error)})"
    remedy = "ask whether it runs, and your network department to let this machine dial out to it"
    return fail("coordinator", FindingCode.COORDINATOR_SILENT, message, remedy)


def _skew(seconds: float) -> Finding:
    message = f"{abs(seconds):.0f} s {'ahead of' if seconds > 0 else 'behind'} the coordinator's"
    if abs(seconds) < SKEW_WARNS_S:
        return ok("clock", message)
    level = fail if abs(seconds) > SKEW_FAILS_S else warn
    return level("clock", FindingCode.CLOCK_OFF, message, "synchronise this machine's clock (NTP)")


def authority(home: Home) -> Iterator[Finding]:
    """Check the certificate of the authority that vouches for the coordinator."""
    try:
        certificates = x509.load_pem_x509_certificates(home.authority.read_bytes())
    except OSError as error:
        message = f"{home.authority} cannot be read: {error.strerror}"
        yield fail("authority", FindingCode.AUTHORITY_UNUSABLE, message, _NEW_AUTHORITY)
        return
    except ValueError:
        message = f"{home.authority} is not a certificate"
        yield fail("authority", FindingCode.AUTHORITY_UNUSABLE, message, _NEW_AUTHORITY)
        return
    for certificate in certificates:
        yield _expiry("authority", certificate.not_valid_after_utc, "ask the coordinator for its new ca.crt")


def _expiry(check: str, expires: datetime, remedy: str) -> Finding:
    days, code = (expires - datetime.now(UTC)).days, FindingCode.CERTIFICATE_EXPIRING
    if days < 0:
        return fail(check, code, f"expired on {expires:%Y-%m-%d}", remedy)
    message = f"valid until {expires:%Y-%m-%d}"
    return warn(check, code, message, remedy) if days < EXPIRY_WARNS_D else ok(check, message)
