"""Process that ends when its work ends, whatever else is in it, and logs to the site's log."""

import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn

from common.processes.process_log import log_beside_flower


def end_after(work: Callable[[], None], name: str, returned: int) -> NoReturn:
    """Do some work, and end the process even if threads still run.

    Taking apart an interpreter with torch in it takes up to a second, which every message would pay.

    Args:
        work: raises SystemExit if it has an exit code.
        name: of what ends, for the log.
        returned: the exit code if the work returns.
    """
    code = 1
    try:
        work()
        code = returned
    except SystemExit as ended:
        code = 0 if ended.code is None else ended.code if isinstance(ended.code, int) else 1
    except BaseException as error:
        logging.getLogger("consilium.process").error("the %s ended: %s", name, type(error).__name__)
    finally:
        end_now(code)


def end_now(code: int) -> NoReturn:
    """End the process with this exit code, and nothing else."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def log_to_site() -> None:
    """Log to the site's own log, which standard error is."""
    log_beside_flower()
    logging.getLogger("consilium").setLevel(logging.INFO)
