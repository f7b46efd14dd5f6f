"""Flower's SuperNode, in a process that ends when its work ends.

When a pull fails with an HTTP error, the SuperNode's main loop ends, but its other threads keep the process alive and
its port says that all is well. Here the process ends with the loop, and the supervisor starts it anew.
"""

import sys
from pathlib import Path

from client.flower.closed_memory import close_memory
from client.flower.process_exit import end_after
from client.flower.to_coordinator import guard
from client.site_folder.places import Home


def main() -> None:
    """Be `flower-supernode` for the site folder that is the first argument."""
    program, folder, *rest = sys.argv
    sys.argv = [program, *rest]

    close_memory()

    def work() -> None:
        guard(Home(Path(folder)))
        from flwr.supernode.cli import flower_supernode

        flower_supernode()

    end_after(work, "SuperNode", returned=1)


if __name__ == "__main__":
    main()
