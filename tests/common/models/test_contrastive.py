"""Disagreement of two views of the same patient."""

import math

import torch

from common.models.contrastive import agreement_loss


def test_agreement_by_hand() -> None:
    first = torch.tensor([[1.0, 0.0], [1.0, 1.0], [2.0, 0.0]])
    other = torch.tensor([[5.0, 0.0], [0.0, 3.0], [-1.0, 0.0]])
    expected = torch.tensor([0.0, 1 - math.sqrt(0.5), 2.0])
    torch.testing.assert_close(agreement_loss(first, other), expected)


def test_agreement_couples_no_patients_and_takes_the_other_view_as_fixed() -> None:
    first, other = torch.randn(5, 8, requires_grad=True), torch.randn(5, 8, requires_grad=True)
    loss = agreement_loss(first, other)
    alone = torch.cat([agreement_loss(one[None], two[None]) for one, two in zip(first, other, strict=True)])
    torch.testing.assert_close(loss, alone)
    (gradient,) = torch.autograd.grad(loss[2], first, retain_graph=True)
    assert gradient.any(1).tolist() == [False, False, True, False, False]
    (nothing,) = torch.autograd.grad(loss.sum(), other, allow_unused=True)
    assert nothing is None


def test_agreement_of_an_empty_representation_has_a_finite_gradient() -> None:
    first = torch.zeros(1, 8, requires_grad=True)
    (gradient,) = torch.autograd.grad(agreement_loss(first, torch.zeros(1, 8)).sum(), first)
    assert gradient.isfinite().all()
