"""JSON on standard output, for programs: records, dataclasses and paths as plain data."""

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence, Set
from datetime import date
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer

JsonOption = Annotated[
    bool, typer.Option("--json", help="Print JSON on standard output, and all else on standard error.")
]
"""Option of every command that prints figures or lists."""


def plain(value: Any) -> Any:
    """Return a value as JSON can hold it: undefined numbers are None, sets sorted lists.

    Raises:
        TypeError: for a value of another kind.
    """
    if (
        dump := getattr(value, "model_dump", None)
    ) is not None:  # help texts are spared the import of pydantic
        return plain(dump())
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return plain(value.value)
    if isinstance(value, date | Path):
        return value.isoformat() if isinstance(value, date) else str(value)
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(name): plain(part) for name, part in value.items()}
    if isinstance(value, Sequence):
        return [plain(part) for part in value]
    if isinstance(value, Set):
        return sorted(plain(part) for part in value)
    raise TypeError(f"{type(value).__name__} is no plain data.")


def print_json(value: Any) -> None:
    """Print a value as indented JSON on standard output."""
    typer.echo(json.dumps(plain(value), indent=2, ensure_ascii=False))
