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
from pathlib import Path

from client.flower.process_exit import end_after, log_to_site
from client.runtime.channel import Channel, Kind, Question
from client.site_folder.places import Home

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
    _, body = channel.receive({Kind.REQUEST: LARGEST_REQUEST})
    question = Question.of(body)
    paths = {"site": home.folder, "federation": home.agreement, "cache": home.cache}
    context = Context(question.run, 0, {name: str(path) for name, path in paths.items()}, RecordDict(), {})
    with suppress(Exception):  # the answer meets it too, and says in the log what it is
        site = open_site(context)
        use_threads(site.model, site.federation.training.batch_size)
    reply = answered(question.kind, read_content(question.content), context)
    channel.send(Kind.REPLY, content_bytes(reply))
    channel.close()


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
