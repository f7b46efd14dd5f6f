"""The base class of all models that hospitals train together, whatever their records are."""

from abc import ABC, abstractmethod

from torch import Tensor, nn

from common.models.parameter_groups import ModelGroups, ParameterGroup
from common.models.parts import Parts
from common.records import Records


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
