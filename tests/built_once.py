"""Folders that are costly to make, made by the first process of a test run that needs one and read by all."""

import fcntl
import os
from collections.abc import Callable
from pathlib import Path

import pytest


def built_once(factory: pytest.TempPathFactory, name: str, build: Callable[[Path], None]) -> Path:
    """Folder of that name, the same in every worker of a run; the first to ask has it built.

    Args:
        factory: of the worker's temporary folders.
        name: of the folder.
        build: fills the folder, which is there and empty, and is called once unless it fails.
    """
    base = factory.getbasetemp()
    shared = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    folder, done = shared / "built-once" / name, shared / "built-once" / f"{name}.done"
    folder.parent.mkdir(exist_ok=True)
    with (folder.parent / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not done.exists():
            folder.mkdir()
            build(folder)
            done.touch()
    return folder
