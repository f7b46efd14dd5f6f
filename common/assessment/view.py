"""Patients of a hospital beside the trained model, as a part of an assessment sees them."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar, cast

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from common.agreement.agreement import Agreement
from common.families.registry import family_of
from common.models.shared import SharedModel
from common.prediction.network import Network
from common.records import Prepared, Records

A = TypeVar("A", bound=Agreement)
R = TypeVar("R", bound=Records)
P = TypeVar("P", bound=Prepared)


@dataclass(frozen=True)
class View(Generic[A, R, P]):
    """Records of a hospital beside the model.

    Attributes:
        network: the trained model, in evaluation mode.
        patients: the records as the tables have them, with their labels.
        least: the fewest patients behind a number that leaves.
        compute: returns the model's outputs, task -> [U, ...], of records as the model takes them.
        calibrating: [U] records that neither train nor choose; None where there are none.
    """

    network: Network
    patients: R
    least: int
    compute: Callable[[SharedModel, R], dict[str, Tensor]]
    calibrating: NDArray[np.bool_] | None = None

    @property
    def federation(self) -> A:
        """The agreement."""
        return cast(A, self.network.federation)

    @property
    def prepared(self) -> P:
        """The preprocessing."""
        return cast(P, self.network.preprocessing)

    @property
    def model(self) -> SharedModel:
        """The model."""
        return self.network.model

    @property
    def public(self) -> Any:
        """Public knowledge of the agreement, such as graphs and pathways."""
        return self.network.public

    @cached_property
    def standardised(self) -> R:
        """The records as the model takes them."""
        return cast(R, family_of(self.network.federation).apply(self.patients, self.network.preprocessing))

    @cached_property
    def outputs(self) -> dict[str, Tensor]:
        """Outputs of the model for the records, on the CPU."""
        return self.compute(self.model, self.standardised)
