"""The machine of a run, and figures that may be undefined."""

import math
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from common.errors import InvalidContentError
from common.files import write_whole


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


class MeasuredRecord(Record):
    """Figures with the machine and the time of their measurement."""

    machine: Machine = Field(default_factory=machine)
    date: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))

    def write(self, path: Path) -> None:
        """Write the figures as JSON, whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, self.model_dump_json(indent=2).encode() + b"\n")


class Measurement(MeasuredRecord):
    """Figures that a simulation's report shows where their file lies in its folder."""

    FILE: ClassVar[str]
    """Name of the file."""
    COMMAND: ClassVar[str]
    """Command that writes it."""

    @classmethod
    def beside(cls, folder: Path) -> Self | None:
        """Read the file in a folder; None if there is none.

        Raises:
            InvalidContentError: if it does not follow the schema.
        """
        path = folder / cls.FILE
        try:
            return cls.model_validate_json(path.read_bytes())
        except (FileNotFoundError, NotADirectoryError):
            return None
        except ValidationError:
            remedy = f"remove it, or write it again by `{cls.COMMAND}`"
            raise InvalidContentError(str(path), "holds no such figures", remedy) from None
