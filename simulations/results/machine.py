"""The machine of a run, and figures that may be undefined."""

import math
import os
import platform
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict


def _defined(value: Any) -> Any:
    return None if isinstance(value, float | np.floating) and not math.isfinite(value) else value


Score = Annotated[float | None, BeforeValidator(_defined)]
"""Figure, or None where it is undefined: NaN and infinity become None, and null in the file."""


class Record(BaseModel):
    """Frozen record of the result file, without further fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Machine(Record):
    """Machine of a run, without a name or a path."""

    platform: str
    processor: str
    cores: int
    python: str
    torch: str


def machine() -> Machine:
    """Describe this machine, without host name and path.

    It has platform, processor, usable cores, Python and PyTorch.
    """
    import torch

    return Machine(
        platform=platform.platform(),
        processor=_processor(Path("/proc/cpuinfo")),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1,
        python=platform.python_version(),
        torch=torch.__version__,
    )


def _processor(cpuinfo: Path) -> str:
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
