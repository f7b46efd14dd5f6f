"""App's process of one message at a hospital, timed; its seconds go to standard error."""

import json
import socket
import sys
from pathlib import Path

from flwr.app import RecordDict

from client.flower.process_exit import end_after
from client.site_folder.places import Home
from simulations.benchmarks.rounds.message_process import (
    APP_IMPORTS,
    APP_PARTS,
    SECONDS,
    Stopwatch,
    watch,
    watch_imports,
)


def main(folder: Path, number: int) -> None:
    """Answer the gate's question on a socket as the app does."""
    clock = Stopwatch()
    watch_imports(clock, APP_IMPORTS)
    import client.flower.internals as flower
    import client.rounds.assembly
    import client.rounds.train  # noqa: F401
    from client.runtime.app_process import serve

    for module in ("client.rounds.assembly", "client.rounds.train"):
        watch(clock, APP_PARTS, module)
    serialise = flower.content_bytes

    def told(content: RecordDict) -> bytes:
        """Serialise the reply, the last thing that the app does."""
        body = serialise(content)
        clock.stop()
        print(SECONDS, json.dumps(clock.seconds), file=sys.stderr, flush=True)
        return body

    vars(flower)["content_bytes"] = told
    serve(socket.socket(fileno=number), Home(folder))


if __name__ == "__main__":
    end_after(lambda: main(Path(sys.argv[1]), int(sys.argv[2])), "app", returned=0)
