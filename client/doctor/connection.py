"""Checks of the way to the coordinator: proxy, name, certificate and clock."""

import http.client
import ipaddress
import os
import socket
import ssl
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from cryptography import x509

from client.doctor.finding import Finding, FindingCode, fail, ok, warn
from client.site_folder.certificate import show_certificate
from client.site_folder.keys import read_key
from client.site_folder.places import Connection, Home, read_connection

TIMEOUT_S = 10.0


SKEW_WARNS_S, SKEW_FAILS_S = 5.0, 60.0


EXPIRY_WARNS_D = 30


_NEW_AUTHORITY = "put the coordinator's ca.crt there, where the user that runs the site can read it"


_EXPIRED = 10
"""OpenSSL's X509_V_ERR_CERT_HAS_EXPIRED."""


PROXY_VARIABLES = ("HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy")


@dataclass(frozen=True)
class Contact:
    """Answer of the coordinator over TLS."""

    status: int
    date: datetime | None
    expires: datetime


def proxies(home: Home) -> Iterator[Finding]:
    """Check the proxy that Flower would take from the environment."""
    variables = [name for name in PROXY_VARIABLES if os.environ.get(name)]
    proxy = proxy_for(read_connection(home))
    if proxy is None:
        yield ok(
            "proxy",
            "none"
            if not variables
            else f"{', '.join(variables)} are set; the coordinator is dialled directly",
        )
    else:
        yield ok("proxy", f"the coordinator is dialled through {proxy[0]}:{proxy[1]}")


def proxy_for(connection: Connection) -> tuple[str, int] | None:
    """(host, port) of the proxy that leads to the coordinator; None if it is dialled directly."""
    address = urllib.request.getproxies().get("https")
    if not address or urllib.request.proxy_bypass(connection.host):
        return None
    parts = urlsplit(address if "//" in address else f"//{address}")
    return (parts.hostname, parts.port or 3128) if parts.hostname else None


def dns(home: Home) -> Iterator[Finding]:
    """Check that the coordinator's name has an address."""
    connection = read_connection(home)
    try:
        ipaddress.ip_address(connection.host)
    except ValueError:
        pass
    else:
        yield ok("dns", f"{connection.host} is an address")
        return
    if proxy_for(connection) is not None:
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
    connection = read_connection(home)
    where = connection.coordinator
    try:
        context = ssl.create_default_context(cafile=str(home.authority))
    except OSError:  # ssl.SSLError among them
        message = f"{where} was not asked: {home.authority} cannot be used"
        yield fail("coordinator", FindingCode.AUTHORITY_UNUSABLE, message, _NEW_AUTHORITY)
        return
    if home.key.exists():
        show_certificate(context, read_key(home.key))
    try:
        contact = ask_health(connection, context)
    except ssl.SSLCertVerificationError as error:
        remedy = "compare keys/ca.crt with the coordinator's by telephone; a proxy that opens TLS must be told not to"
        if error.verify_code == _EXPIRED:
            remedy = "ask the coordinator to renew it; if it is new, look at this machine's clock"
        message = f"that of {where} is not accepted: {error.verify_message}"
        yield fail("certificate", FindingCode.CERTIFICATE_REFUSED, message, remedy)
        return
    except (OSError, http.client.HTTPException) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        message = f"{where} does not answer ({reason})"
        remedy = "ask whether it runs, and your network department to let this machine dial out to it"
        yield fail("coordinator", FindingCode.COORDINATOR_SILENT, message, remedy)
        return
    if contact.status == HTTPStatus.BAD_REQUEST:  # nginx' answer to a certificate that it cannot verify
        message = f"{where} does not accept this site's key"
        remedy = (
            "have the coordinator enrol keys/node_key.pub; if it did, compare its fingerprint and the clocks"
        )
        yield fail("coordinator", FindingCode.NOT_ENROLLED, message, remedy)
    else:
        yield ok("coordinator", f"{where} answers with status {contact.status}")
    yield _expiry("certificate", contact.expires, "ask the coordinator to renew it")
    if contact.date is None:
        message = "the coordinator does not say what time it has"
        yield warn("clock", FindingCode.CLOCK_UNKNOWN, message, "compare the clocks yourself")
        return
    yield _skew((datetime.now(UTC) - contact.date).total_seconds())


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


def ask_health(connection: Connection, context: ssl.SSLContext) -> Contact:
    """Ask the coordinator for its health.

    Raises:
        OSError: if it cannot be reached; `ssl.SSLError` among them.
        http.client.HTTPException: if what answers does not speak HTTP.
    """
    proxy = proxy_for(connection)
    host, number = proxy or (connection.host, connection.coordinator_port)
    client = http.client.HTTPSConnection(host, number, timeout=TIMEOUT_S, context=context)
    if proxy is not None:
        client.set_tunnel(connection.host, connection.coordinator_port)
    try:
        client.connect()
        assert isinstance(client.sock, ssl.SSLSocket)
        certificate = client.sock.getpeercert(binary_form=True) or b""
        expires = x509.load_der_x509_certificate(certificate).not_valid_after_utc
        client.request("GET", "/health")
        answer = client.getresponse()
        date = answer.getheader("Date")
        return Contact(answer.status, parsedate_to_datetime(date) if date else None, expires)
    finally:
        client.close()


def _expiry(check: str, expires: datetime, remedy: str) -> Finding:
    days, code = (expires - datetime.now(UTC)).days, FindingCode.CERTIFICATE_EXPIRING
    if days < 0:
        return fail(check, code, f"expired on {expires:%Y-%m-%d}", remedy)
    message = f"valid until {expires:%Y-%m-%d}"
    return warn(check, code, message, remedy) if days < EXPIRY_WARNS_D else ok(check, message)
