"""Access to the dashboard: its token, and requests that it refuses before any page is made.

A page of another site can have a browser ask for any address, and can have its own name lead to the loopback interface
(DNS rebinding). Requests under a foreign name, or made by another site, are therefore refused.
"""

import base64
import binascii
import hashlib
import hmac
import ipaddress
import secrets
import socket
from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from common.files import write_whole
from server.home.places import CoordinatorHome

METHODS = ("GET", "HEAD")


_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}
"""Headers of every answer: kept by no cache, shown in no frame of another page."""


def new_token(home: CoordinatorHome) -> str:
    """Make a token in place of an earlier one; the folder keeps its SHA-256 alone."""
    token = secrets.token_urlsafe(32)
    write_whole(home.dashboard_token, hashlib.sha256(token.encode()).hexdigest().encode() + b"\n", 0o600)
    return token


def token_hash(home: CoordinatorHome) -> str | None:
    """Read the SHA-256 of the token; None if none was made."""
    path = home.dashboard_token
    return path.read_text(encoding="ascii").strip() if path.is_file() else None


def names_of_machine(*more: str) -> frozenset[str]:
    """List names under which a browser may ask this machine; addresses are taken anyway."""
    names = {"localhost", socket.gethostname(), socket.getfqdn(), *more}
    return frozenset(name.lower() for name in names)


class Guard:
    """Application in front of the pages that refuses requests which no page of ours makes.

    Args:
        pages: the application behind.
        names: host names under which the dashboard is asked for; a numeric address cannot be rebound and is taken.
        token: SHA-256 of the token that each request brings; None where none is needed.
        policy: content security policy of answers that bring none.
    """

    def __init__(self, pages: ASGIApp, names: Iterable[str], token: str | None, policy: str) -> None:
        self._pages, self._names, self._token = pages, frozenset(names), token
        self._headers = {**_HEADERS, "Content-Security-Policy": policy}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or pass it on."""
        if scope["type"] == "lifespan":
            await self._pages(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # no page speaks another protocol

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = {name.lower() for name, _ in message["headers"]}
                message["headers"] = [
                    *message["headers"],
                    *(
                        (name.lower().encode(), value.encode())
                        for name, value in self._headers.items()
                        if name.lower().encode() not in given
                    ),
                ]
            await send(message)

        refusal = self._refusal(scope["method"], Headers(scope=scope))
        await (refusal or self._pages)(scope, receive, with_headers)

    def _refusal(self, method: str, headers: Headers) -> PlainTextResponse | None:
        if method not in METHODS:
            return _refused(
                405, "The dashboard changes nothing: it answers GET alone.", Allow=", ".join(METHODS)
            )
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return _refused(421, "This is not a name of the dashboard's machine; ask for its address.")
        if not _is_from_here(headers, hosts[0]):
            return _refused(403, "Another site asked for this; open the dashboard itself.")
        if self._token is not None and not _is_known(headers.getlist("authorization"), self._token):
            text = "The dashboard needs its token, as the password of any user name."
            return _refused(401, text, **{"WWW-Authenticate": 'Basic realm="Consilium", charset="UTF-8"'})
        return None

    def _is_ours(self, host: str) -> bool:
        try:
            name = (urlsplit(f"//{host}").hostname or "").lower()
        except ValueError:
            return False
        if name in self._names:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True


def _is_from_here(headers: Headers, host: str) -> bool:
    """Whether a request comes from our pages, the address line, or a link that is followed."""
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc.lower() != host.lower():
        return False
    if headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return True
    return headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"


def _is_known(credentials: list[str], token: str) -> bool:
    """Whether the credentials of a request are the token, compared in constant time."""
    if len(credentials) != 1:
        return False
    scheme, _, text = credentials[0].partition(" ")
    if scheme.lower() == "basic":
        try:
            text = base64.b64decode(text, validate=True).decode().partition(":")[2]
        except (binascii.Error, UnicodeDecodeError):
            return False
    elif scheme.lower() != "bearer":
        return False
    return hmac.compare_digest(hashlib.sha256(text.encode()).hexdigest(), token)


def _refused(code: int, text: str, **headers: str) -> PlainTextResponse:
    return PlainTextResponse(text + "\n", code, headers)
