"""A service that runs on though its supervisor was killed."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from common.processes.supervision_state import ServiceState, State, birth_of


@contextmanager
def left_running(state: Path, name: str) -> Iterator[int]:
    """The process of such a service, which the state file of a dead supervisor tells of."""
    command = [sys.executable, "-c", "import threading; threading.Event().wait()"]
    with subprocess.Popen(command, start_new_session=True) as process:
        threading.Thread(target=process.wait, daemon=True).start()  # buries it, as init would
        service = ServiceState(pid=process.pid, birth=birth_of(process.pid))
        over = State(pid=process.pid, birth="another boot:1", services={name: service})
        state.parent.mkdir(parents=True, exist_ok=True)
        state.write_text(over.model_dump_json())
        try:
            yield process.pid
        finally:
            process.kill()
