"""Gate's process, which a site starts in place of Flower's `flwr-clientapp` for one message.

It alone reads the SuperNode's token and the node key, and no other process of its account can read its memory. The app
runs in a process of its own, started before anything else, so that both import what they need at the same time.
"""

import sys
from collections.abc import Sequence
from pathlib import Path

from client.flower.closed_memory import close_memory
from client.flower.process_exit import end_after, log_to_site
from client.runtime.app_link import AppProcess, AppService


def main(arguments: Sequence[str]) -> None:
    """Run for a site folder and the app's socket, with the rest of Flower's command line.

    Args:
        arguments: the folder, the socket or nothing where the gate starts the app, and what Flower adds.
    """
    close_memory()
    folder, listening, *rest = arguments
    home = Path(folder)
    app = AppService(Path(listening)) if listening else AppProcess(home)

    def work() -> None:
        from client.flower.internals import run_client_app
        from client.runtime.gatekeeper import Gatekeeper

        log_to_site()
        try:
            run_client_app(rest, Gatekeeper(home, app))
        finally:
            app.close()

    end_after(work, "task", returned=0)


if __name__ == "__main__":
    main(sys.argv[1:])
