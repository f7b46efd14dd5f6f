"""Lines of a process with Flower's code in it: its own and Flower's, each once."""

import subprocess
import sys

PROCESS = """
import logging
from flwr.common.logger import log
from common.processes.process_log import log_beside_flower
log_beside_flower()
log(logging.ERROR, "flowers own")
logging.getLogger("consilium.test").warning("our own")
logging.getLogger("consilium.test").info("not heard")
"""


def test_a_line_of_ours_or_of_flower_is_logged_once() -> None:
    ended = subprocess.run([sys.executable, "-c", PROCESS], capture_output=True, text=True, check=True)
    said = ended.stdout + ended.stderr
    assert [said.count(line) for line in ("flowers own", "our own", "not heard")] == [1, 1, 0]
