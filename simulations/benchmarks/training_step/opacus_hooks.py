"""Opacus' per-sample hooks on the same model, the reference for Consilium's clipping."""

import warnings

from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor

from common.models.federated import FederatedModel
from common.models.shared import PartialModule

warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)


warnings.filterwarnings("ignore", "grad and param do not obey", UserWarning)


def make_dense(model: FederatedModel) -> None:
    """Compute every part for all patients and mask: a hook needs every patient in every layer."""
    for module in model.modules():
        if isinstance(module, PartialModule):
            module.dense = True


def with_hooks(model: FederatedModel) -> GradSampleModule:
    """Put Opacus' hooks on a model, made dense.

    A backward pass gives its parameters `grad_sample` [B, *shape].

    The loss has to be a sum over patients.
    """
    make_dense(model)
    return GradSampleModule(model, loss_reduction="sum")


def clipped_sums(optimiser: DPOptimizer, loss: Tensor) -> list[Tensor]:
    """Per parameter the sum over patients of their gradients, clipped by Opacus.

    Args:
        optimiser: optimiser of the parameters of a model `with_hooks`.
        loss: loss per patient [B] of that model.
    """
    loss.sum().backward()
    optimiser.clip_and_accumulate()
    sums: list[Tensor] = [parameter.summed_grad for parameter in optimiser.params]
    optimiser.zero_grad()
    return sums
