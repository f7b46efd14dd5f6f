"""Connection of the SuperNode: the node key's certificate, and bounds of what comes back.

Written against flwr 1.41, with two names of its modules replaced; a contract test compares them with the installed
Flower.
"""

import importlib
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import httpx

from client.flower.route import Route, open_client, route_to
from client.site_folder.certificate import coordinator_context
from client.site_folder.keys import PrivateKey, read_key
from client.site_folder.places import Home, read_approval, read_connection
from common.errors import InputError
from common.messages.inflating import largest_message, pull_within

log = logging.getLogger("consilium.supernode")


CONNECTION, LOOP = "flwr.supernode.fleet_http_connection", "flwr.supernode.start_client_internal"


REPLACED = {
    "FleetHttpClient": (
        "server_address",
        "insecure",
        "root_certificates",
        "interceptors",
        "retry_invoker",
    ),
    "pull_objects": ("object_ids", "pull_object_fn"),
}
"""Name -> its parameters in Flower: those of the client's `from_server_address`, and the first of the function."""


TIMEOUT_S = 30.0
"""Longest wait for a connection and between two parts of an answer, as in Flower."""


OBJECT_BYTES = 6 << 20
"""Most bytes of an answer with a part of an array: Flower makes them of 5 MiB."""


ANSWER_BYTES = 256 << 10
"""Most bytes of every other answer: the longest names the parts of a message, some 70 bytes each."""


def guard(home: Home) -> None:
    """Have this process' SuperNode show the site's key and take no more than it can use."""
    connection: Any = importlib.import_module(CONNECTION)
    loop: Any = importlib.import_module(LOOP)
    route = route_to(read_connection(home), os.environ)
    connection.FleetHttpClient = client_class(connection.FleetHttpClient, read_key(home.key), route)
    loop.pull_objects = bounded_pull(home)


def client_class(flowers: Any, key: PrivateKey, route: Route) -> Any:
    """Flower's client class, with the certificate of a key, a route and bounds of what it reads."""

    class Client(flowers):  # type: ignore[misc]
        @classmethod
        def from_server_address(
            cls,
            server_address: str,
            insecure: bool,
            root_certificates: bytes | str | None,
            interceptors: Sequence[Any],
            *,
            retry_invoker: Any = None,
        ) -> Any:
            if insecure or root_certificates is None:
                raise ValueError("a site dials its coordinator with TLS, and trusts one authority")
            if isinstance(root_certificates, str):
                root_certificates = Path(root_certificates).read_bytes()
            context = coordinator_context(root_certificates, key)
            client = cls(
                f"https://{server_address}",
                interceptors=interceptors,
                verify=context,
                retry_invoker=retry_invoker,
            )
            client._client.close()
            client._client = open_client(route, context, TIMEOUT_S)
            client._client.headers["accept-encoding"] = "identity"
            client._client.event_hooks["response"].append(bound)
            return client

    return Client


def bound(response: httpx.Response) -> None:
    """Bound the bytes that are read of an answer, which has to come as it is sent.

    Raises:
        httpx.HTTPError: if it is compressed, or once it is longer than its path needs.
    """
    if response.headers.get("content-encoding", "identity") != "identity":
        raise httpx.DecodingError("the coordinator's answer is compressed", request=response.request)
    most = OBJECT_BYTES if response.request.url.path.endswith("/pull-object") else ANSWER_BYTES
    assert isinstance(response.stream, httpx.SyncByteStream)
    response.stream = _Bounded(response.stream, most)


class _Bounded(httpx.SyncByteStream):
    def __init__(self, stream: httpx.SyncByteStream, most: int) -> None:
        self._stream, self._most = stream, most

    def __iter__(self) -> Iterator[bytes]:
        read = 0
        for chunk in self._stream:
            read += len(chunk)
            if read > self._most:
                raise httpx.DecodingError(f"the coordinator's answer has more than {self._most} bytes")
            yield chunk

    def close(self) -> None:
        self._stream.close()


def bounded_pull(home: Home) -> Callable[..., dict[str, bytes]]:
    """Function in place of Flower's `pull_objects`, bounded by the approved model."""

    def pull_objects(object_ids: list[str], pull_object_fn: Callable[[str], bytes]) -> dict[str, bytes]:
        return pull_within(object_ids, pull_object_fn, largest_request(home))

    return pull_objects


def largest_request(home: Home) -> int:
    """Most bytes of a message to this hospital.

    Without an approval a message can only be refused, and needs little.
    """
    try:
        return largest_message(read_approval(home).weights)
    except InputError as error:
        log.warning("%s", error)
        return largest_message({})
