"""Construction of the model that a federation file describes."""

from pathlib import Path

import torch

from common.agreement.federation import Federation
from common.models.graphs import Prior, load_prior
from common.models.hierarchical import HierarchicalMultimodalGNN


def build_model(federation: Federation, folder: Path, seed: int) -> HierarchicalMultimodalGNN:
    """The model a federation file describes, its public files beside it in `folder`, initialised from `seed`."""
    return initial_model(federation, load_prior(federation, folder), seed)


def initial_model(federation: Federation, prior: Prior, seed: int) -> HierarchicalMultimodalGNN:
    """The same, with its graphs given."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return HierarchicalMultimodalGNN(federation, prior)
