from collections.abc import Callable

import pytest
import torch

from common.agreement.federation import Federation
from common.errors import InvalidContentError
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.models.static.dense_twin import DenseTwin
from common.patients.batch import PatientBatch


def test_the_twin_computes_the_logits_of_the_network(
    federation: Federation, prior: Prior, make_batch: Callable[..., PatientBatch]
) -> None:
    torch.manual_seed(2)
    model, batch = HierarchicalMultimodalGNN(federation, prior).eval(), make_batch(12)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.2 * torch.randn_like(parameter))
        logits = DenseTwin(model)(list(batch.values.values()), list(batch.observed.values()))
        for own, expected in zip(logits, model(batch).values(), strict=True):
            torch.testing.assert_close(own, expected, atol=1e-5, rtol=1e-5)


def test_a_model_of_another_kind_has_no_twin() -> None:
    with pytest.raises(InvalidContentError):
        DenseTwin(torch.nn.Linear(2, 2))
