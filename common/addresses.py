"""Addresses HOST:PORT, read and written alike on both sides; IPv6 stands in brackets."""

import ipaddress
import re

_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


_LONGEST = 253


def parse_host(text: str) -> str:
    """Read a host name or an IP address, with or without brackets; return its usual form.

    Raises:
        ValueError: if it is neither, or an address that nobody can dial.
    """
    bare = text[1:-1] if text.startswith("[") and text.endswith("]") else text
    try:
        address = ipaddress.ip_address(bare)
    except ValueError:
        labels = text.split(".")
        if len(text) > _LONGEST or labels[-1].isdigit() or not all(map(_LABEL.fullmatch, labels)):
            raise ValueError("is no host name and no IP address") from None
        return text
    if "%" in bare or address.is_unspecified or address.is_multicast:
        raise ValueError("is an IP address that nobody can dial")
    return str(address)


def host_port(host: str, port: int) -> str:
    """Write a host and a port as one address."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def split_address(text: str, default: int | None = None) -> tuple[str, int]:
    """Read HOST:PORT; without a port it is the default, if there is one.

    Raises:
        ValueError: if the host or the port is none.
    """
    host, colon, port = text.rpartition(":")
    if default is not None and (not colon or text.endswith("]")):
        return parse_host(text), default
    if ":" in host and not host.startswith("["):
        raise ValueError("is an IPv6 address without brackets")
    if not (port.isascii() and port.isdigit() and 0 < int(port[:6]) < 65536):
        raise ValueError("has no port from 1 to 65535")
    return parse_host(host), int(port)
