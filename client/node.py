"""Flower's SuperNode, in a process that ends when its work ends.

When a pull fails with an HTTP error, the SuperNode's main loop ends, but its other threads keep the process alive and
its port says that all is well. Here the process ends with the loop, and the supervisor starts it anew.
"""

import logging
import os
import sys


def main() -> None:
    """Be `flower-supernode`, with its command line."""
    code = 1
    try:
        from flwr.supernode.cli import flower_supernode

        flower_supernode()
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        logging.getLogger("consilium.node").error("the SuperNode ended: %s", type(error).__name__)
    finally:
        logging.shutdown()
        sys.stdout.flush()
        os._exit(code)


if __name__ == "__main__":
    main()
