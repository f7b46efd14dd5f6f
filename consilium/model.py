"""Model of a finished run, loaded from the run's folder."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.agreement.agreement import FILE_NAME, Agreement
from common.agreement.loading import load_agreement
from common.errors import InvalidContentError
from common.families.registry import family_of
from common.records import Prepared
from server.records.result import PREPROCESSING, WEIGHTS, load_result

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class LoadedModel:
    """A finished run's model with all that its use needs.

    Attributes:
        federation: the agreement that it was trained under.
        preprocessing: to apply to patients before the model sees them.
        weights: parameter -> array, float32.
        model: the network with these weights, in evaluation mode on the CPU.
    """

    federation: Agreement
    preprocessing: Prepared
    weights: Mapping[str, NDArray[np.float32]]
    model: "nn.Module"

    def __repr__(self) -> str:
        """The federation's name and the size of the model."""
        parameters = sum(array.size for array in self.weights.values())
        return f"<model of {self.federation.name}: {parameters:,} parameters>"


def load_model(folder: Path | str) -> LoadedModel:
    """Load a finished run's weights, preprocessing and federation file.

    Args:
        folder: of a simulation (`out`), or of a coordinator's run.

    Returns:
        The model, ready for evaluation.

    Raises:
        InputError: if a file is missing or damaged, or the files do not belong together.

    Example:
        >>> loaded = consilium.load_model("out")
        >>> loaded.model, loaded.federation.digest
    """
    source = Path(folder)
    federation = load_agreement(source / FILE_NAME)
    family = family_of(federation)
    result = load_result(source)
    model = family.model(federation, family.public(federation, source), 0)
    expected = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    _require(source / WEIGHTS, expected, result.weights)
    _require(source / PREPROCESSING, family.preparation(federation), result.preprocessing)
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in result.weights.items()})
    model.eval()
    return LoadedModel(federation, family.unpacked(result.preprocessing), dict(result.weights), model)


def _require(path: Path, expected: Mapping[str, tuple[int, ...]], arrays: Mapping[str, NDArray[Any]]) -> None:
    """Check that a file holds exactly the arrays that its federation file asks for."""
    remedy = f"put back the {FILE_NAME} that the run was made with, or run it again"
    for name in sorted(expected.keys() ^ arrays.keys()):
        what = "is missing" if name in expected else f"is no array of this {FILE_NAME}"
        raise InvalidContentError(f"{path}, {name}", what, remedy)
    for name, array in arrays.items():
        if array.shape != expected[name]:
            raise InvalidContentError(
                f"{path}, {name}", f"has shape {array.shape} and not {expected[name]}", remedy
            )
        if array.dtype != np.float32:
            raise InvalidContentError(f"{path}, {name}", f"is {array.dtype} and not float32", remedy)
        if np.isnan(array).any() or (path.name == WEIGHTS and not np.isfinite(array).all()):
            raise InvalidContentError(f"{path}, {name}", "holds numbers that are not finite", remedy)
