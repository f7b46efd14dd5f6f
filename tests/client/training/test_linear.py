"""A hospital's linear round is the mean gradient of its patients, within the reach that the gate allows."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from client.training.linear import step_along_gradient
from client.training.round import Round
from common.agreement.federation import Federation
from common.errors import Refusal, RefusalCode
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss
from common.patients.preprocessing import Preprocessing

MakeBatch = Callable[..., PatientBatch]


@pytest.fixture
def fitting(federation: Federation) -> Federation:
    return federation.changed({"training.rounds": "5", "training.linear_rounds": "5"})


def test_the_step_is_the_mean_gradient_of_those_behind_each_score(
    fitting: Federation, prior: Prior, cuts: dict[str, Tensor], make_batch: MakeBatch
) -> None:
    torch.manual_seed(0)
    batch, model = make_batch(25, seed=8), HierarchicalMultimodalGNN(fitting, prior)
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    loss = multitask_loss(fitting.tasks, model.additive(batch), batch, cuts, None)
    names = sorted(model.groups().linear)
    expected = torch.autograd.grad(loss.sum(), [model.get_parameter(name) for name in names])
    behind = model.groups().patients_behind(batch)
    losses = step_along_gradient(model, batch, behind, Round(fitting, Preprocessing({}, {}, cuts)))
    torch.testing.assert_close(losses, loss.detach())
    for name, gradient in zip(names, expected, strict=True):
        step = before[name] - model.get_parameter(name).detach()
        torch.testing.assert_close(step, gradient / behind[model.groups()[name]], atol=1e-6, rtol=1e-4)


def test_a_step_is_within_what_the_gate_allows(
    fitting: Federation, prior: Prior, cuts: dict[str, Tensor], make_batch: MakeBatch
) -> None:
    torch.manual_seed(0)
    batch, model = make_batch(10), HierarchicalMultimodalGNN(fitting, prior)
    extreme = {name: torch.full_like(value, 8.0) for name, value in batch.values.items()}
    before = {name: weight.detach().clone() for name, weight in model.named_parameters()}
    step_along_gradient(
        model,
        replace(batch, values=extreme),
        model.groups().patients_behind(batch),
        Round(fitting, Preprocessing({}, {}, cuts)),
    )
    moved = max(float((before[n] - p.detach()).abs().max()) for n, p in model.named_parameters())
    assert 0 < moved <= fitting.steepest_score


def test_what_is_not_finite_is_a_refusal(
    fitting: Federation, prior: Prior, cuts: dict[str, Tensor], make_batch: MakeBatch
) -> None:
    batch, model = make_batch(10), HierarchicalMultimodalGNN(fitting, prior)
    batch.values["rna"][:, 0] = torch.nan
    with pytest.raises(Refusal) as refusal:
        step_along_gradient(
            model, batch, model.groups().patients_behind(batch), Round(fitting, Preprocessing({}, {}, cuts))
        )
    assert refusal.value.code is RefusalCode.TRAINING_DIVERGED
