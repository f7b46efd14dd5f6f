"""Question to a coordinator for its health, and words for what keeps it from answering."""

import ssl
from dataclasses import dataclass
from datetime import datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus

import httpx
from cryptography import x509

from client.flower.route import Route, open_client
from client.site_folder.places import Connection

TIMEOUT_S = 10.0


@dataclass(frozen=True)
class Contact:
    """Answer of the coordinator over TLS."""

    status: int
    date: datetime | None
    expires: datetime


class ProxyFailed(Exception):
    """A proxy that does not lead to the coordinator.

    Attributes:
        status: of its answer; None if it did not answer, for the reason that is the cause.
    """

    def __init__(self, status: int | None) -> None:
        super().__init__()
        self.status = status


def ask_health(connection: Connection, context: ssl.SSLContext, route: Route) -> Contact:
    """Ask the coordinator for its health.

    Raises:
        ProxyFailed: if the proxy on the route does not lead to it.
        httpx.HTTPError: if it does not answer, or not by TLS and HTTP.
    """
    passed = route.proxy is None

    def notice(event: str, _: object) -> None:
        nonlocal passed
        passed |= event == "proxy.start_tls.started"

    try:
        with (
            open_client(route, context, TIMEOUT_S) as client,
            client.stream(
                "GET", f"https://{connection.coordinator}/health", extensions={"trace": notice}
            ) as answer,
        ):
            tls = answer.extensions["network_stream"].get_extra_info("ssl_object")
            expires = x509.load_der_x509_certificate(tls.getpeercert(True)).not_valid_after_utc
            date = answer.headers.get("Date")
            return Contact(answer.status_code, parsedate_to_datetime(date) if date else None, expires)
    except httpx.HTTPError as error:
        if passed:
            raise
        status = str(error).partition(" ")[0] if isinstance(error, httpx.ProxyError) else ""
        raise ProxyFailed(int(status) if status.isdecimal() else None) from error


def system_error(error: BaseException | None) -> OSError | None:
    """Find the system's error below one of the client's."""
    while error is not None and not isinstance(error, OSError):
        error = error.__cause__ or error.__context__
    return error


def reason_of(error: BaseException) -> str:
    """Say in words why nothing answered; never in the words of the other side."""
    if isinstance(error, httpx.TimeoutException):
        return f"nothing came within {TIMEOUT_S:.0f} seconds"
    cause = system_error(error)
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"its certificate is not accepted: {cause.verify_message}"
    if isinstance(cause, ssl.SSLError):
        return "what is there does not speak TLS"
    if cause is not None and cause.strerror:
        return cause.strerror
    return "what is there does not speak HTTP"


def status_text(number: int) -> str:
    """Write a status with its usual phrase."""
    return f"{number} {HTTPStatus(number).phrase}" if number in set(HTTPStatus) else str(number)
