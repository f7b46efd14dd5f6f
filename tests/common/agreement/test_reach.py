"""Bounds of a round's training, held against the training itself."""

import math
from typing import Any

import numpy as np
import pytest
import torch

from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.agreement.reach import (
    UNDECLARED_PATIENTS,
    largest_hospital,
    local_reach,
    patients_in_all,
    round_reach,
)
from common.agreement.settings import Participant, Training


def _moved(gradients: list[float], rate: float, decay: float, start: float) -> float:
    """Distance that AdamW moves a single weight with these gradients."""
    weight = torch.nn.Parameter(torch.tensor([start], dtype=torch.float64))
    optimiser = torch.optim.AdamW([weight], lr=rate, weight_decay=decay)
    for gradient in gradients:
        weight.grad = torch.tensor([gradient], dtype=torch.float64)
        optimiser.step()
    return abs(float(weight.detach()) - start)


@pytest.mark.parametrize(
    "gradients",
    [
        [1.0] * 8,
        [1e30] * 8,
        [10.0**-t for t in range(8)],
        [10.0**t for t in range(8)],
        [0.0] * 7 + [1.0],
        [1.0, -1.0] * 4,
    ],
)
@pytest.mark.parametrize("start", [0.0, -3.0])
def test_no_step_of_adamw_is_beyond_the_bound(
    federation: Federation, gradients: list[float], start: float
) -> None:
    training = Training(rounds=1, batch_size=4, learning_rate=0.01, weight_decay=0.1)
    agreed = federation.model_copy(update={"training": training})
    bound = local_reach(agreed, 1, patients=32, largest=abs(start))
    assert _moved(gradients, 0.01, 0.1, start) <= bound
    assert bound <= 3 * (8 * 0.01 + 8 * 0.01 * 0.1 * abs(start)), "the bound is within three even steps"


def test_the_bound_follows_the_agreement(federation: Federation) -> None:
    def bound(round_: int = 1, patients: int = 160, **changes: Any) -> float:
        training = federation.training.model_copy(update=changes)
        agreed = federation.model_copy(update={"training": training})
        return local_reach(agreed, round_, patients, 0.0)

    assert bound(local_epochs=2) > bound() > bound(patients=80) > bound(patients=80, batch_size=80)
    assert bound(round_=30) < bound(round_=1)


def test_a_private_rounds_bound_holds_for_the_noise(federation: Federation) -> None:
    privacy = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=10, steps=3)
    agreed = federation.model_copy(update={"privacy": privacy})
    bound = local_reach(agreed, 1, 20, 0.0)
    noise = np.random.default_rng(0).normal(0, 2.0, (100_000, 3))
    moved = privacy.learning_rate / 10 * (noise + 20).sum(axis=1)
    assert float(np.abs(moved).max()) <= bound
    stricter = privacy.model_copy(update={"noise_multiplier": 20.0})
    assert local_reach(agreed, 1, 20, 0.0, stricter) > bound
    assert math.isfinite(bound)


def test_a_round_of_the_federation_is_bounded_by_its_largest_hospital(federation: Federation) -> None:
    def sized(*sizes: int | None) -> Federation:
        parts = tuple(Participant(name=f"h{n}", patients=size) for n, size in enumerate(sizes))
        return federation.model_copy(update={"participants": parts})

    agreed = sized(40, 400)
    assert (largest_hospital(agreed), patients_in_all(agreed)) == (400, 440)
    assert round_reach(agreed) == local_reach(agreed, 1, 400, 1.0)
    assert largest_hospital(sized(None, None)) == UNDECLARED_PATIENTS
    adam = agreed.model_copy(update={"training": Training(strategy="fedadam", server_learning_rate=0.5)})
    assert round_reach(adam) == pytest.approx(2.35 * 0.5)
