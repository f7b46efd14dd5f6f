"""Flower's SuperNode, in a process that ends when its work ends.

When a pull fails with an HTTP error, the SuperNode's main loop ends, but its other threads keep the process alive and
its port says that all is well. Here the process ends with the loop, and the supervisor starts it anew.
"""

from client.flower.process_exit import end_after


def _work() -> None:
    from flwr.supernode.cli import flower_supernode

    flower_supernode()


def main() -> None:
    """Be `flower-supernode`, with its command line."""
    end_after(_work, "SuperNode", returned=1)


if __name__ == "__main__":
    main()
