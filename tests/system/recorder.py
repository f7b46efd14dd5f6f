"""Stands between a hospital and its coordinator, and writes down every byte of either direction.

It presents the coordinator's own certificate, ends the hospital's TLS and begins its own towards the coordinator, with
the certificate of the hospital's key.
"""

import asyncio
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from client.site_folder.certificate import show_certificate
from client.site_folder.keys import read_key
from server.home.places import CoordinatorHome

CHUNK = 65536


class Recorder:
    """Recorded bytes, in one file per connection and direction.

    Args:
        home: the coordinator's folder.
        folder: where to write; it is made.
    """

    def __init__(self, home: CoordinatorHome, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.connections, self.port = folder, 0, 0
        self._there = home.settings().port
        self._server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._server.load_cert_chain(home.certificate)
        self._client = ssl.create_default_context(cafile=str(home.authority))

    def speak_for(self, key: Path) -> None:
        """Show the coordinator the certificate of a node key from now on."""
        show_certificate(self._client, read_key(key))

    def sent(self) -> list[bytes]:
        """Bytes that the hospital sent, by connection."""
        return self._read("sent")

    def received(self) -> list[bytes]:
        """Bytes that the hospital received, by connection."""
        return self._read("received")

    def _read(self, direction: str) -> list[bytes]:
        return [path.read_bytes() for path in sorted(self.folder.glob(f"*.{direction}"))]

    async def _relay(self, near: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        self.connections += 1
        name = f"{self.connections:04d}"
        far, on = await asyncio.open_connection("localhost", self._there, ssl=self._client)
        ways = [(near, on, f"{name}.sent"), (far, back, f"{name}.received")]
        ended = [
            asyncio.ensure_future(_pump(source, sink, self.folder / file)) for source, sink, file in ways
        ]
        await asyncio.wait(ended, return_when=asyncio.FIRST_COMPLETED)
        for _, sink, _ in ways:
            sink.close()
        await asyncio.wait(ended)

    async def run(self, listening: threading.Event, ending: threading.Event) -> None:
        """Serve until `ending` is set."""
        server = await asyncio.start_server(self._relay, "127.0.0.1", 0, ssl=self._server)
        self.port = server.sockets[0].getsockname()[1]
        listening.set()
        await asyncio.to_thread(ending.wait)
        server.close()
        relays = asyncio.all_tasks() - {asyncio.current_task()}
        for relay in relays:
            relay.cancel()
        await asyncio.gather(*relays, return_exceptions=True)


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, path: Path) -> None:
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while content := await source.read(CHUNK):
            file.write(content)
            sink.write(content)
            await sink.drain()


@contextmanager
def recording(home: CoordinatorHome, folder: Path) -> Iterator[Recorder]:
    """A recorder in front of a coordinator, on a port of its own."""
    recorder, listening, ending = Recorder(home, folder), threading.Event(), threading.Event()
    thread = threading.Thread(target=lambda: asyncio.run(recorder.run(listening, ending)))
    thread.start()
    try:
        assert listening.wait(10), "the recorder does not listen"
        yield recorder
    finally:
        ending.set()
        thread.join()
