"""Opacus' own per-sample hooks on the same model: the reference that our clipping is compared with."""

import warnings

from opacus import GradSampleModule
from opacus.optimizers import DPOptimizer
from torch import Tensor

from common.models.hierarchical import Branch, HierarchicalMultimodalGNN

warnings.filterwarnings("ignore", "Full backward hook is firing", UserWarning)


warnings.filterwarnings("ignore", "grad and param do not obey", UserWarning)


def make_dense(model: HierarchicalMultimodalGNN) -> None:
    """Compute absent branches too and mask them: a hook wants every patient in every layer."""
    for module in model.modules():
        if isinstance(module, Branch):
            module.dense = True


def with_hooks(model: HierarchicalMultimodalGNN) -> GradSampleModule:
    """The model, made dense, under Opacus' hooks; its parameters get `grad_sample` [B, *shape] from a backward pass.

    The loss is to be a sum over patients.
    """
    make_dense(model)
    return GradSampleModule(model, loss_reduction="sum")


def clipped_sums(optimiser: DPOptimizer, loss: Tensor) -> list[Tensor]:
    """For every parameter the sum over patients of their gradients, clipped to the optimiser's norm by Opacus.

    Args:
        optimiser: of the parameters of a model `with_hooks`.
        loss: per patient [B], from that model.
    """
    loss.sum().backward()
    optimiser.clip_and_accumulate()
    sums: list[Tensor] = [own.summed_grad for own in optimiser.params]
    optimiser.zero_grad()
    return sums
