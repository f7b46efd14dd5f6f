"""A network with random weights, and patients of whom everything is measured."""

from collections.abc import Callable

import pytest
import torch

from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network


@pytest.fixture
def make_network(
    federation: Federation, prior: Prior, preprocessing: Preprocessing
) -> Callable[..., Network]:
    def make(linear: bool = False, seed: int = 1) -> Network:
        """Weights are drawn; those of the heads are 0 in a linear network."""
        model = initial_model(federation, prior, 0)
        draw = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.add_(0.3 * torch.randn(parameter.shape, generator=draw))
                if linear and name.startswith("heads.") and name.endswith("weight"):
                    parameter.zero_()
        return Network(federation, preprocessing, {}, model.eval(), public=prior)

    return make


@pytest.fixture
def whole(make_batch: Callable[..., PatientBatch]) -> PatientBatch:
    """Six patients of whom everything is measured, with one level of every category."""
    batch = make_batch()
    draw = torch.Generator().manual_seed(2)
    values = {name: torch.randn(part.shape, generator=draw) for name, part in batch.values.items()}
    values["clinical"][:, 1:] = torch.tensor([[0.0, 1.0]])
    return PatientBatch(values, {n: torch.ones_like(m) for n, m in batch.observed.items()}, {}, {})
