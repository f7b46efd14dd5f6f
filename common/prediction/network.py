"""Trained network with all that a prediction needs, from the files of a run or a release."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from common.agreement.agreement import Agreement
from common.errors import InvalidContentError
from common.families.registry import family_of
from common.records import Prepared
from common.release.calibration_table import CalibrationTable
from common.release.interval_table import IntervalTable
from common.release.members import STRUCTURE, TEST, VALIDATION, arrays_of_member
from common.release.release import ModelRelease
from common.release.stamp import arrays_of

if TYPE_CHECKING:
    from common.models.shared import SharedModel

Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Network:
    """Trained network in evaluation mode on the CPU.

    Attributes:
        federation: the agreement that it was trained under.
        preprocessing: to apply to records before the model sees them.
        weights: parameter -> array, float32.
        model: the network with these weights.
        version: of the release; None for a run that was not released.
        public: what the agreement's family reads from its public files, such as graphs and pathways.
        others: the other members of an ensemble; none of a single model.
        structure: of ordinary tables, as in a release; None where there is none.
        validation: of the release on hospitals' held-out patients; None where there is none.
        test: the same on those who neither trained nor helped to choose; None where there are none.
        calibration: by which its predictions are moved; None without one.
        intervals: of its predictions; None without one.
    """

    federation: Agreement
    preprocessing: Prepared
    weights: Mapping[str, NDArray[np.float32]]
    model: "SharedModel"
    version: str | None = None
    public: object = None
    others: "tuple[Network, ...]" = ()
    structure: bytes | None = None
    validation: bytes | None = None
    test: bytes | None = None
    calibration: CalibrationTable | None = None
    intervals: IntervalTable | None = None

    @property
    def members(self) -> "tuple[Network, ...]":
        """All networks whose mean is predicted: this one, and the others of an ensemble."""
        return (self, *self.others)


def network_of(
    federation: Agreement,
    folder: Path,
    weights: Arrays,
    preprocessing: Arrays,
    where: str,
    remedy: str,
    version: str | None = None,
    number: int = 1,
) -> Network:
    """Build a network from its arrays.

    Args:
        federation: the agreement.
        folder: of its public files.
        weights: parameter -> array.
        preprocessing: as in a request.
        where: folder or file of the arrays, for errors.
        remedy: for arrays that do not belong to the agreement.
        version: of the release.
        number: of the member of a released ensemble.

    Raises:
        InputError: if the arrays are not those that the agreement asks for.
    """
    family = family_of(federation)
    public = family.public(federation, folder)
    model = family.model(federation, public, 0)
    shapes = {name: tuple(tensor.shape) for name, tensor in model.state_dict().items()}
    names = arrays_of_member(number)
    _require(f"{where}{names[0]}", shapes, weights, remedy, finite=True)
    _require(f"{where}{names[1]}", family.preparation(federation), preprocessing, remedy, finite=False)
    model.load_state_dict({name: torch.from_numpy(array.copy()) for name, array in weights.items()})
    model.eval()
    return Network(federation, family.unpacked(dict(preprocessing)), dict(weights), model, version, public)


def released_network(release: ModelRelease) -> Network:
    """Build the network of a release, with the other members of an ensemble.

    Raises:
        InputError: if its arrays are not those that its federation file asks for.
    """
    members = []
    with release.agreement_folder() as folder:
        for number in range(1, release.models + 1):
            weights, preprocessing = (arrays_of(release.members[name]) for name in arrays_of_member(number))
            where = f"{release.where}, "
            remedy = "install the version of consilium that made the release"
            members.append(
                network_of(
                    release.agreement, folder, weights, preprocessing, where, remedy, release.version, number
                )
            )
    return replace(
        members[0],
        others=tuple(members[1:]),
        structure=release.members.get(STRUCTURE),
        validation=release.members.get(VALIDATION),
        test=release.members.get(TEST),
        calibration=release.calibration,
        intervals=release.intervals,
    )


def _require(
    file: str, expected: Mapping[str, tuple[int, ...]], arrays: Arrays, remedy: str, finite: bool
) -> None:
    """Check that a file holds exactly the arrays that its federation file asks for."""
    for name in sorted(expected.keys() ^ arrays.keys()):
        what = "is missing" if name in expected else "is no array of this federation file"
        raise InvalidContentError(f"{file}, {name}", what, remedy)
    for name, array in arrays.items():
        if array.shape != expected[name]:
            what = f"has shape {array.shape} and not {expected[name]}"
            raise InvalidContentError(f"{file}, {name}", what, remedy)
        if array.dtype != np.float32:
            raise InvalidContentError(f"{file}, {name}", f"is {array.dtype} and not float32", remedy)
        if np.isnan(array).any() or (finite and not np.isfinite(array).all()):
            raise InvalidContentError(f"{file}, {name}", "holds numbers that are not finite", remedy)
