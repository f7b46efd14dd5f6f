"""The base class of all models that hospitals train together, whatever their records are."""

from abc import ABC, abstractmethod

from torch import nn

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
