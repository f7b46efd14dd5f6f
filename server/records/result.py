"""Result of a run: the kept weights and the preprocessing that they expect."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from common.errors import MissingFileError, UnreadableFileError
from common.files import write_whole
from common.messages.packing import Arrays
from common.release.members import PREPROCESSING, WEIGHTS

__all__ = ["PREPROCESSING", "WEIGHTS", "TrainedModel", "load_result", "save_result"]


@dataclass(frozen=True)
class TrainedModel:
    """A trained model as float32 arrays by parameter, and its preprocessing as in a request."""

    weights: dict[str, NDArray[np.float32]]
    preprocessing: Arrays


def save_result(out: Path, result: TrainedModel) -> None:
    """Write both files into a folder, each whole or not at all."""
    _save(out / WEIGHTS, result.weights)
    _save(out / PREPROCESSING, result.preprocessing)


def load_result(out: Path) -> TrainedModel:
    """Read back what `save_result` wrote.

    Raises:
        InputError: if a file is missing or damaged.
    """
    return TrainedModel(_load(out / WEIGHTS), dict(_load(out / PREPROCESSING)))


def _save(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    write_whole(path, save({name: np.ascontiguousarray(array) for name, array in arrays.items()}))


def _load(path: Path) -> dict[str, NDArray[np.float32]]:
    try:
        arrays: dict[str, NDArray[np.float32]] = load_file(path)
    except FileNotFoundError:
        raise MissingFileError(
            str(path), "there is no such file", "name the folder of a finished run"
        ) from None
    except SafetensorError:
        raise UnreadableFileError(str(path), "is damaged", "run the federation again") from None
    return arrays
