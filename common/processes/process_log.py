"""Log of a process that runs Flower's code beside our own."""

import logging


def log_beside_flower() -> None:
    """Log warnings to standard error, each line once: Flower's logger has a handler of its own."""
    line = "%(asctime)s %(name)s %(levelname)s %(message)s"
    logging.basicConfig(level=logging.WARNING, format=line, force=True)  # a library may have set it up before
    logging.getLogger("flwr").propagate = False
