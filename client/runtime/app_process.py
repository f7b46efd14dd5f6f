"""Process of the app: answers the one request that the gate sends, and ends.

It is started for a site folder with the number of an inherited socket. It holds neither the token of the SuperNode nor
the node key: what it answers leaves the hospital only through the gate's process at the other end.
"""

import os
import select
import socket
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from client.flower.process_exit import end_after, log_to_site
from client.runtime.channel import AppRequest, Channel, FrameKind
from client.site_folder.places import Home

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from client.privacy.noise import Weights

LARGEST_REQUEST = 1 << 34
"""Bytes of a request; the gate, which the app trusts, has bounded it by the agreement."""


def serve(connection: socket.socket, home: Home) -> None:
    """Answer one request.

    Raises:
        SilentError: if the gate is gone.
    """
    from flwr.app import Context, RecordDict

    from client.app import answered
    from client.flower.internals import content_bytes, read_content
    from client.rounds.assembly import open_site
    from client.training.threads import use_threads

    channel = Channel(connection)
    _, body = channel.receive({FrameKind.REQUEST: LARGEST_REQUEST})
    question = AppRequest.of(body)
    paths = {"site": home.folder, "federation": home.agreement, "cache": home.cache}
    context = Context(question.run, 0, {name: str(path) for name, path in paths.items()}, RecordDict(), {})
    with suppress(Exception):  # the answer meets it too, and says in the log what it is
        site = open_site(context)
        use_threads(site.model, site.federation.training.batch_size)
    steps = partial(StepsAtGate, channel)
    reply = answered(question.kind, read_content(question.content), context, steps, NoiseAtGate(channel))
    channel.send(FrameKind.REPLY, content_bytes(reply))
    channel.close()


class StepsAtGate:
    """Steps of a private round, taken by the gate from the weights of its own request.

    Args:
        channel: to the gate.
        weights: the trained parameters.
    """

    def __init__(self, channel: Channel, weights: "Weights", *_: object) -> None:
        self._channel, self._size = channel, sum(array.size for array in weights.values())

    def take(self, sums: "NDArray[np.float64]") -> "NDArray[np.float32]":
        """See `client.privacy.noise.Steps`.

        Raises:
            SilentError: if the gate refuses the sum, or is gone.
        """
        import numpy as np

        self._channel.send(FrameKind.SUMS, sums.tobytes())
        _, body = self._channel.receive({FrameKind.NOISED: 4 * self._size})
        return np.frombuffer(bytearray(body), np.float32)


class NoiseAtGate:
    """Noise of statistics, added by the gate.

    Args:
        channel: to the gate.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def take(self, sums: "NDArray[np.float64]") -> "NDArray[np.float64]":
        """See `client.privacy.noise.Noise`.

        Raises:
            SilentError: if the gate refuses the sums, or is gone.
        """
        import numpy as np

        self._channel.send(FrameKind.SUMS, sums.tobytes())
        _, body = self._channel.receive({FrameKind.NOISED: 8 * len(sums)})
        return np.frombuffer(bytearray(body), np.float64)


def _end_with(connection: socket.socket) -> None:
    """End this process when the gate's end is closed, whatever is being computed."""
    poll = select.poll()
    with suppress(OSError, ValueError):  # our own end was closed
        poll.register(connection, select.POLLRDHUP)
        poll.poll()
        os._exit(1)


def main(arguments: Sequence[str]) -> None:
    """Run for the site folder in the first argument, on the socket that the second one numbers."""
    folder, number = arguments
    log_to_site()
    connection = socket.socket(fileno=int(number))
    threading.Thread(target=_end_with, args=(connection,), daemon=True).start()
    end_after(lambda: serve(connection, Home(Path(folder))), "app", returned=0)


if __name__ == "__main__":
    main(sys.argv[1:])
