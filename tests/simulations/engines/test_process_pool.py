"""Worker processes and Ctrl-C, which their parent alone answers."""

import os
import select
import subprocess
import sys
from pathlib import Path

import pytest

import simulations

FIRST_CHILD = """
import multiprocessing, signal
from simulations.engines.process_pool import uninterrupted

def blocked():
    return signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, ())

def report(sender):
    sender.send(blocked())

if __name__ == "__main__":
    context = multiprocessing.get_context(METHOD)
    receiver, sender = context.Pipe(False)
    with uninterrupted():
        child = context.Process(target=report, args=(sender,))
        child.start()
        print(blocked(), receiver.recv())
    child.join()
    print(blocked())
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_the_first_child_of_a_program_ignores_ctrl_c_from_its_start(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"METHOD = {method!r}\n{FIRST_CHILD}")
    environment = {**os.environ, "PYTHONPATH": str(Path(simulations.__file__).parents[1])}
    ended = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, check=False, env=environment
    )
    assert ended.stdout == "True True\nFalse\n", ended.stderr


PARENT = """
import multiprocessing, os, time
from simulations.engines.process_pool import end_with_parent

def work(sender):
    end_with_parent()
    sender.send(os.getpid())
    while True:
        time.sleep(60)

if __name__ == "__main__":
    context = multiprocessing.get_context(METHOD)
    receiver, sender = context.Pipe(False)
    context.Process(target=work, args=(sender,), daemon=True).start()
    print(receiver.recv(), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("method", ["forkserver", "spawn"])
def test_a_worker_ends_when_its_parent_is_killed(method: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(f"METHOD = {method!r}\n{PARENT}")
    environment = {**os.environ, "PYTHONPATH": str(Path(simulations.__file__).parents[1])}
    with subprocess.Popen([sys.executable, program], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        worker = os.pidfd_open(int(process.stdout.readline()))
        process.kill()
    try:
        assert select.select([worker], [], [], 20)[0]
    finally:
        os.close(worker)
