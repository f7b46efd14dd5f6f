"""Per-patient gradients and clipped sums are those of Opacus' per-sample hooks on the same model."""

from typing import Any

import pytest
import torch
from opacus.optimizers import DPOptimizer
from torch.optim import SGD

from common.patients.batch import PatientBatch
from simulations.benchmarks.training_step.opacus_hooks import clipped_sums, make_dense, with_hooks
from tests.client.privacy.clipping_case import MakeCase, norms, worst, worst_alone

pytestmark = pytest.mark.filterwarnings("ignore:Full backward hook is firing:UserWarning")


@pytest.mark.parametrize("contrastive", [0.0, 0.7])
def test_opacus_hooks_give_the_same_gradients_and_clipped_sums(
    make_case: MakeCase, every_pattern: PatientBatch, contrastive: float
) -> None:
    case, theirs = make_case(contrastive=contrastive), make_case(contrastive=contrastive)
    for model in (case.model, theirs.model) if contrastive else ():
        # Opacus waits for every use of a layer; a view's scores have none.
        for name, own in model.named_parameters():
            own.requires_grad_("scores" not in name)
    wrapped = with_hooks(theirs.model)
    theirs.loss(every_pattern).sum().backward()
    sampled: dict[str, Any] = {
        name: own for name, own in theirs.model.named_parameters() if own.requires_grad
    }
    found, clipped = case.together(every_pattern), case.clipped(every_pattern)
    theirs_found = {name: own.grad_sample for name, own in sampled.items()}
    assert worst(found, theirs_found) < 1e-10
    assert worst_alone(found, theirs_found) < 1e-10
    wrapped.zero_grad()
    make_dense(case.model)
    torch.testing.assert_close(case.clipped(every_pattern), clipped)
    clip_norm = float(norms(found).norm(dim=0).median())  # one half is clipped, the other is not
    optimiser = DPOptimizer(
        SGD(sampled.values(), lr=1.0),
        noise_multiplier=1.0,
        max_grad_norm=clip_norm,
        expected_batch_size=None,
        loss_reduction="sum",
    )
    sums = clipped_sums(optimiser, theirs.loss(every_pattern))
    torch.testing.assert_close(
        case.clipped(every_pattern, clip_norm),
        torch.cat([own.flatten() for own in sums]),
        atol=1e-5,
        rtol=1e-5,
    )
