"""The base class of all models that hospitals train together, whatever their records are."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from common.models.parameter_groups import ModelGroups, ParameterGroup
from common.models.parts import Parts
from common.records import Prepared, Records


class SharedModel(nn.Module, ABC):
    """A model from records of B units to named logits [B, outputs].

    For private training a unit's output may depend on that unit alone, and parameters lie in `nn.Linear` and
    `nn.LayerNorm` with the unit as first dimension (`common.privacy.guarantee`).

    Attributes:
        views: forward passes of a unit in a training step.
        ragged: whether the shape of a unit's records differs from unit to unit; under privacy each is then computed
            alone.
    """

    views = 1
    ragged = False

    def groups(self) -> ModelGroups:
        """Averaging groups of the parameters; by default every unit trains every parameter."""
        return ModelGroups(dict.fromkeys(self.state_dict(), ParameterGroup.SHARED))

    def parts(self) -> Parts | None:
        """Parts whose activity is recorded at the end of a run; None if the model offers none."""
        return None

    @abstractmethod
    def example(self) -> Records:
        """A made-up unit with everything, on the model's device and in its precision."""

    def static_form(self) -> "StaticForm | None":
        """Return a copy for training steps of fixed shapes; None if the model has no such form."""
        return None


Rows = tuple[Tensor, ...]
"""Records as matrices [U, columns], a row per unit."""


class StaticForm(ABC):
    """Copy of a model whose training step has operations and shapes that follow from no record.

    Such a step can be captured once and replayed. Units come as rows of matrices of fixed width, and a row of nobody
    fills up a minibatch. Nothing in the step is decided by a number of the records.

    Attributes:
        model: the copy, on the device of the original.
    """

    model: SharedModel

    @abstractmethod
    def rows(self, records: Any, /) -> Rows:
        """Return the rows of U units and, after them, one of nobody, [U + 1, columns] each."""

    @abstractmethod
    def records(self, rows: Rows, /) -> Records:
        """Return the records of rows [B, columns], as views of them."""

    @abstractmethod
    def counting(self, rows: Rows, /) -> Tensor:
        """Return 1 for rows of a unit and 0 for nobody's, [B] float."""

    @abstractmethod
    def prepared(self, prepared: Any, /) -> Prepared:
        """Return preprocessing in tensors that stay: later calls write into those of the first."""

    @abstractmethod
    def parts(self) -> Mapping[str, str]:
        """Name of a parameter -> part of the model that some minibatches leave as it is.

        Parameters without a part move with every minibatch.
        """

    @abstractmethod
    def idle(self) -> Mapping[str, Tensor]:
        """Part -> 1 if no unit of the last loss took part in it, else 0, [] float32 on the device."""

    def without_sparse_products(self) -> bool:
        """Replace products of the device's sparse library, which not every version lets capture.

        Returns whether there was one.
        """
        return False


class PartialModule(nn.Module):
    """Part of a model for a subset of a batch, such as the patients with a modality.

    Per-patient clipping brings the gradients inside back to their patients by `rows`.

    Attributes:
        dense: compute all patients and mask, for per-sample hooks that want every patient in every layer.
        slot: compute so many patients at a time, filled up with nobody; 0 for all at once. Under privacy the shape of
            a patient's computation must not follow from how many others take part.
        worthwhile: patients at a time from which on more at a time are no quicker.
        rows: indices [R] in the batch [B] of the patients that are being computed, B for nobody; None for all.
    """

    dense = False
    slot = 0
    worthwhile = 1
    rows: Tensor | None = None
