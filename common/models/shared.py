"""The base class of all models that hospitals train together, whatever their records are."""

from abc import ABC, abstractmethod
from typing import Any

from torch import Tensor, nn

from common.models.parameter_groups import ModelGroups, ParameterGroup
from common.records import Records


class SharedModel(nn.Module, ABC):
    """A model from records of B units to named logits [B, outputs].

    For private training a unit's output may depend on that unit alone, and parameters lie in `nn.Linear` and
    `nn.LayerNorm` with the unit as first dimension (`common.privacy.guarantee`).

    Attributes:
        views: forward passes of a unit in a training step.
    """

    views = 1

    def groups(self) -> ModelGroups:
        """Averaging groups of the parameters; by default every unit trains every parameter."""
        return ModelGroups(dict.fromkeys(self.state_dict(), ParameterGroup.SHARED))

    @abstractmethod
    def example(self) -> Records:
        """A made-up unit with everything, on the model's device and in its precision."""


class PartialModule(nn.Module, ABC):
    """Part of a model for a subset of a batch, such as the patients with a modality.

    Per-patient clipping asks which ones, to bring the gradients inside back to their patients.

    Attributes:
        dense: compute all patients and mask, for per-sample hooks that want every patient in every layer.
    """

    dense = False

    @abstractmethod
    def rows(self, *inputs: Any) -> Tensor | None:
        """Return indices [R] of the patients that `forward` computes for these inputs; None for all."""
