"""Route from a site to its coordinator: directly, or through a proxy of the environment.

The SuperNode and `consilium site doctor` read the same variables by this module and open the same client. A variable
in lower case goes before the same one in upper case, also where it is empty, as in Python and curl; `https_proxy` goes
before `all_proxy`, and `http_proxy` is for unencrypted requests, of which a site makes none.
"""

import ipaddress
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import quote, unquote

import httpx

from client.site_folder.places import Connection
from common.addresses import host_port, split_address
from common.errors import MachineError

HTTPS, ALL, EXEMPT = "https_proxy", "all_proxy", "no_proxy"


PORTS = {"http": 80, "https": 443}
"""Schemes by which a proxy may be spoken to, each with the port of a proxy that is named without one."""


OWN_MACHINE = ("localhost", "127.0.0.1", "::1")


@dataclass(frozen=True)
class Proxy:
    """Proxy that leads to the coordinator.

    Attributes:
        variable: of the environment that names it.
        address: its HOST:PORT.
        url: with its user and password, which are never shown.
    """

    variable: str
    address: str
    url: str = field(repr=False)


@dataclass(frozen=True)
class Route:
    """Way to the coordinator.

    Attributes:
        proxy: that is dialled first; None where the coordinator is dialled directly.
        unused: variables that name a proxy and are not for this coordinator.
    """

    proxy: Proxy | None
    unused: tuple[str, ...] = ()


def route_to(connection: Connection, environ: Mapping[str, str]) -> Route:
    """Find the route to a coordinator in an environment.

    Raises:
        MachineError: if the environment names a proxy that cannot be used.
    """
    named = tuple(name for name in environ if name.lower() in (HTTPS, ALL, "http_proxy") and environ[name])
    variable = _name(environ, HTTPS) or _name(environ, ALL)
    if variable is None or is_exempt(connection, environ):
        return Route(None, named)
    return Route(_proxy(variable, environ[variable]))


def environment_of(route: Route, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables by which a process of this environment finds this route and no other."""
    none = dict.fromkeys((name for name in environ if name.lower().endswith("_proxy")), "")
    return none if route.proxy is None else {**none, HTTPS: route.proxy.url}


def open_client(route: Route, context: ssl.SSLContext, timeout_s: float) -> httpx.Client:
    """Open the client that speaks to the coordinator; the environment is not asked again."""
    proxy = None if route.proxy is None else route.proxy.url
    return httpx.Client(
        verify=context, timeout=timeout_s, follow_redirects=True, trust_env=False, proxy=proxy
    )


def is_exempt(connection: Connection, environ: Mapping[str, str]) -> bool:
    """Whether a coordinator is on this machine, or `no_proxy` lists it.

    An entry is a name, which stands for all names below it too, an address or a network; a port may follow. `*` is all.
    """
    if connection.host in OWN_MACHINE:
        return True
    name = _name(environ, EXEMPT)
    entries = re.split(r"[\s,]+", environ[name]) if name else []
    return any(_covers(entry, connection.host, connection.coordinator_port) for entry in entries if entry)


def _name(environ: Mapping[str, str], key: str) -> str | None:
    """Name of the variable that counts of the two spellings; None where neither says anything."""
    name = key if key in environ else key.upper()
    return name if environ.get(name, "").strip() else None


def _covers(entry: str, host: str, port: int) -> bool:
    if entry == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(entry.strip("[]"), strict=False)
    except ValueError:  # one of the two is a name, or the entry has a port
        pass
    try:
        other, only = split_address(entry.removeprefix("*").lstrip("."), port)
    except ValueError:
        return False
    return only == port and f".{host}".lower().endswith(f".{other}".lower())


def _proxy(variable: str, value: str) -> Proxy:
    scheme, separator, rest = value.strip().partition("://")
    scheme, rest = (scheme.lower(), rest) if separator else ("http", value.strip())
    login, at, where = rest.rpartition("@")
    if scheme not in PORTS:
        what = "names a SOCKS proxy" if scheme.startswith("socks") else "names no proxy that speaks HTTP"
        remedy = "give an HTTP proxy like http://proxy.example.org:3128, or list the coordinator in no_proxy"
        raise MachineError(variable, f"{what}, which a site cannot use", remedy)
    address, _, path = where.partition("/")
    try:
        if path:
            raise ValueError("has a path, such as that of a configuration file for browsers")
        address = host_port(*split_address(address, PORTS[scheme]))
    except ValueError as error:
        remedy = "write it like http://proxy.example.org:3128, or http://USER:PASSWORD@proxy.example.org:3128"
        raise MachineError(variable, f"its proxy {error}", remedy) from None
    user, _, password = login.partition(":")
    signed = f"{quote(unquote(user), safe='')}:{quote(unquote(password), safe='')}{at}" if at else ""
    return Proxy(variable, address, f"{scheme}://{signed}{address}")
