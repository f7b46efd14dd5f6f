import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn.functional import binary_cross_entropy_with_logits

from common.tasks.hazard import hazard_loss, survival_curve

CUTS = torch.tensor([1.0, 2.0, 4.0, 8.0])


HAZARD = [0.1, 0.2, 0.3, 0.4]


BY_HAND = {
    "event in the second interval": (1.5, 1, 0.9 * 0.2),
    "event in the first interval": (0.5, 1, 0.1),
    "event at time 0": (0.0, 1, 0.1),
    "event exactly on a cut belongs to the interval that ends there": (2.0, 1, 0.9 * 0.2),
    "event on the last cut": (8.0, 1, 0.9 * 0.8 * 0.7 * 0.4),
    "event beyond the last cut is survival of everything": (9.0, 1, 0.9 * 0.8 * 0.7 * 0.6),
    "censored in the first half has not survived the interval": (2.9, 0, 0.9 * 0.8),
    "censored in the middle has": (3.0, 0, 0.9 * 0.8 * 0.7),
    "censored in the second half has": (3.9, 0, 0.9 * 0.8 * 0.7),
    "censored exactly on a cut has": (4.0, 0, 0.9 * 0.8 * 0.7),
    "censored at once says nothing": (0.0, 0, 1.0),
    "censored beyond the last cut": (100.0, 0, 0.9 * 0.8 * 0.7 * 0.6),
}


@pytest.mark.parametrize("case", BY_HAND)
def test_hazard_loss_by_hand(case: str) -> None:
    time, event, likelihood = BY_HAND[case]
    loss = hazard_loss(
        torch.tensor([HAZARD]).logit(), CUTS, torch.tensor([time]), torch.tensor([float(event)])
    )
    assert loss.item() == pytest.approx(-math.log(likelihood), abs=1e-6)


def slow_hazard_loss(logits: list[float], cuts: list[float], time: float, event: bool) -> float:
    """The likelihood walked interval by interval, one patient at a time."""
    loss, start = 0.0, 0.0
    for logit, end in zip(logits, cuts, strict=True):
        log_hazard, log_pass = -math.log1p(math.exp(-logit)), -math.log1p(math.exp(logit))
        if time > end:
            loss -= log_pass
        elif event:
            return loss - log_hazard
        else:
            return loss - (log_pass if time - start >= end - time else 0.0)
        start = end
    return loss


QUARTERS = st.integers(1, 60).map(lambda quarter: quarter / 4)


@given(
    cuts=st.lists(QUARTERS, min_size=2, max_size=8, unique=True).map(sorted),
    patients=st.lists(
        st.tuples(st.integers(0, 80).map(lambda q: q / 4), st.booleans()), min_size=1, max_size=6
    ),
    seed=st.integers(0, 100),
)
@settings(deadline=None, max_examples=150)
def test_hazard_loss_equals_a_walk_through_the_intervals(
    cuts: list[float], patients: list[tuple[float, bool]], seed: int
) -> None:
    shape = (len(patients), len(cuts))
    logits = 3 * torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    time = torch.tensor([time for time, _ in patients], dtype=torch.float64)
    event = torch.tensor([float(event) for _, event in patients])
    fast = hazard_loss(logits, torch.tensor(cuts, dtype=torch.float64), time, event)
    slow = [
        slow_hazard_loss(row, cuts, *patient) for row, patient in zip(logits.tolist(), patients, strict=True)
    ]
    torch.testing.assert_close(fast, torch.tensor(slow, dtype=torch.float64))


def test_hazard_loss_equals_pycox_where_no_midpoint_decides() -> None:
    """`pycox.models.loss.nll_logistic_hazard` (BSD-2), for events and for censoring at the ends of intervals."""
    place = torch.tensor([0, 1, 3, 2, 0, 3])
    event = torch.tensor([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    logits = torch.randn(6, 4)
    target = torch.zeros(6, 4).scatter(1, place[:, None], event[:, None])
    each = binary_cross_entropy_with_logits(logits, target, reduction="none")
    expected = each.cumsum(1).gather(1, place[:, None]).squeeze(1)
    torch.testing.assert_close(hazard_loss(logits, CUTS, CUTS[place], event), expected)


def test_survival_curve_is_what_the_loss_scores() -> None:
    logits = torch.randn(1, 4).expand(4, -1)
    loss = hazard_loss(logits, CUTS, CUTS, torch.zeros(4))
    torch.testing.assert_close(survival_curve(logits)[0], (-loss).exp())
