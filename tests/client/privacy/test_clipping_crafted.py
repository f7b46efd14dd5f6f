"""A coordinator may send any finite weights: still no patient changes what another's gradient is."""

from collections.abc import Callable
from typing import Any

import pytest
import torch

from client.privacy.clipping import patient_gradients
from client.privacy.dp_sgd import train_privately
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Training
from common.families.patient_loss import patient_loss
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.privacy.planning import with_privacy
from tests.client.cuts import with_cuts
from tests.client.privacy.watched_steps import watching_steps

MakeBatch = Callable[..., PatientBatch]
PATIENTS = 40


def private_model(
    make_federation: Callable[..., Federation], prior: Prior, learn: str
) -> tuple[Federation, HierarchicalMultimodalGNN]:
    federation = make_federation(model=HierarchicalConfig(gcn_layers=0, gat_layers=1), training=Training())
    terms = Privacy.model_validate(
        {"noise_multiplier": 1.0, "sampling_rate": 1.0, "expected_batch_size": 30, "learn": learn}
    )
    federation = with_privacy(federation, terms)
    model = HierarchicalMultimodalGNN(federation, prior)
    learnable = model.groups().learnable(terms)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name in learnable)
    return federation, model


def clipped_sum(
    model: HierarchicalMultimodalGNN,
    batch: PatientBatch,
    federation: Federation,
    cuts: dict[str, torch.Tensor],
) -> torch.Tensor:
    with patient_gradients(model) as gradients:
        sums = gradients.clipped_sum(
            lambda: patient_loss(model, batch, federation, cuts), len(batch), clip_norm=1.0
        )
    return torch.cat([total.flatten() for total in sums])


def everyone_complete(make_batch: MakeBatch) -> PatientBatch:
    """All values known, and one response for all, so that gradients add up."""
    batch = make_batch(PATIENTS, 3)
    for name, values in batch.values.items():
        batch.observed[name][:] = True
        values.copy_(torch.randn(values.shape).clamp(-3, 3))
    for known in batch.labelled.values():
        known[:] = True
    batch.labels["response"][:] = 1
    return batch


@pytest.mark.parametrize("learn", ["all", "linear"])
def test_scores_that_overflow_for_one_patient_leave_the_others_as_they_are(
    make_federation: Callable[..., Federation],
    prior: Prior,
    cuts: dict[str, torch.Tensor],
    make_batch: MakeBatch,
    learn: str,
) -> None:
    """A unit that only the last patient's value opens spreads that patient's attention scores beyond any bound."""
    federation, model = private_model(make_federation, prior, learn)
    branch: Any = model.branches["rna"]
    score = branch.graph.layers[0].score.weight
    with torch.no_grad():
        for steep in (branch.embed.weight, branch.embed.bias, score):
            steep.zero_()
        for unit, column, weight in ((0, 0, 1.0), (1, 1, 1.0), (2, 0, 1.0), (2, 1, -6.0)):
            branch.embed.weight[unit, column] = weight
        for head, unit, weight in ((0, 1, 500.0), (0, 0, 10.0), (1, 2, 1000.0), (2, 1, 2.0**33)):
            score[head, unit] = weight
    batch = everyone_complete(make_batch)
    batch.values["rna"][-1, 0] = 8.0
    whole = clipped_sum(model, batch, federation, cuts)
    without = clipped_sum(model, batch.select(torch.arange(PATIENTS - 1)), federation, cuts)
    assert (whole - without).norm() <= 1 + 1e-4


@pytest.mark.parametrize("scale", [1e1, 1e3, 1e6, 1e12, 1e20, 1e30])
@pytest.mark.parametrize("learn", ["all", "linear"])
def test_no_patient_moves_the_sum_by_more_than_the_clip_norm_under_steep_weights(
    make_federation: Callable[..., Federation],
    prior: Prior,
    cuts: dict[str, torch.Tensor],
    make_batch: MakeBatch,
    learn: str,
    scale: float,
) -> None:
    """A private step without noise and with a rate of 1 moves the weights by the clipped sum."""
    federation, model = private_model(make_federation, prior, learn)
    assert federation.privacy is not None
    privacy = federation.privacy.model_copy(
        update={"noise_multiplier": 0.0, "learning_rate": 1.0, "expected_batch_size": 1.0}
    )
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn_like(parameter) * scale)
    start = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    batch = make_batch(12, 5)
    batch.values["rna"][4] *= 50
    moves: list[torch.Tensor] = []
    for patient in range(-1, 12):
        others = torch.tensor([place for place in range(12) if place != patient])
        model.load_state_dict(start)
        with watching_steps() as steps:
            train_privately(model, batch.select(others), Round(federation, with_cuts(cuts)), privacy)
        moves += steps
    whole, *without = moves
    assert len(without) == 12
    assert all((whole - one).norm() <= 1 + 1e-4 for one in without)
    assert all(own.dtype == torch.float32 for own in model.state_dict().values())
