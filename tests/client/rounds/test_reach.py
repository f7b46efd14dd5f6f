"""Honest training stays within the reach that is computed for it, and the reach is finite and small."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch.nn import Parameter

from client.rounds.reach import reach
from client.training.adamw import AdamW
from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.agreement.reach import UNDECLARED_PATIENTS, patients_in_all
from common.agreement.settings import Participant, Wire


def declared(federation: Federation, patients: int) -> Federation:
    return federation.model_copy(update={"participants": (Participant(name="north", patients=patients),)})


def gradients(rule: str) -> Callable[[int, int], float]:
    """Gradient of step t of T, of a rule that has Adam walk far."""
    return {
        "constant": lambda t, last: 1.0,
        "growing": lambda t, last: 1.12 ** min(t, 600),
        "last alone": lambda t, last: 1.0 if t == last else 1e-6,
        "waves": lambda t, last: math.sin(t / 7),
    }[rule]


@pytest.mark.parametrize("rule", ["constant", "growing", "last alone", "waves"])
@pytest.mark.parametrize("patients", [16, 160, 3200])
def test_no_gradients_lead_adam_beyond_its_reach(
    small_federation: Federation, rule: str, patients: int
) -> None:
    federation = declared(small_federation, patients)
    training, steps = federation.training, patients // federation.training.batch_size
    parameter = Parameter(torch.tensor([1.5], dtype=torch.float32))
    optimiser = AdamW([parameter], training.learning_rate, training.weight_decay)
    for t in range(1, steps + 1):
        parameter.grad = torch.tensor([gradients(rule)(t, steps)])
        optimiser.step()
    moved = abs(float(parameter.detach()) - 1.5)
    assert 0 < moved <= reach(federation, 1.5, last=2)


def test_round_one_is_where_a_run_begins_and_rounds_add_up(small_federation: Federation) -> None:
    federation = declared(small_federation, 60)
    assert reach(federation, 1.0, last=1) == 0
    whole, first = reach(federation, 1.0, last=9), reach(federation, 1.0, last=4)
    assert 0 < first < whole
    assert reach(federation, 1.0, last=9, first=4) == pytest.approx(whole - first)
    assert reach(federation, 1.0, last=31) < 5  # 30 rounds of 60 patients
    assert reach(federation, 1.0, 2) < reach(declared(federation, 600), 1.0, 2)


def test_sizes_that_are_not_declared_have_a_stated_bound(small_federation: Federation) -> None:
    parts = (Participant(name="north"), Participant(name="south"))
    unsized = small_federation.model_copy(update={"participants": parts})
    assert patients_in_all(unsized) == 2 * UNDECLARED_PATIENTS
    assert reach(unsized, 1.0, 5) == reach(declared(small_federation, UNDECLARED_PATIENTS), 1.0, 5)


def test_an_encoding_may_bring_what_it_held_back(small_federation: Federation) -> None:
    federation = declared(small_federation, 60)
    encoded = federation.model_copy(update={"wire": Wire(update="top-k", share=0.1)})
    assert reach(encoded, 1.0, last=5, first=4) == pytest.approx(2 * reach(federation, 1.0, last=5))


@pytest.mark.parametrize("strategy", ["fedavg", "fedprox"])
def test_a_private_round_reaches_as_far_as_all_patients_and_the_noise_push(
    small_federation: Federation, strategy: str
) -> None:
    privacy = Privacy(noise_multiplier=2.0, sampling_rate=1.0, expected_batch_size=10.0, steps=3)
    federation = declared(small_federation, 20).changed({"training.strategy": strategy})
    federation = federation.model_copy(update={"privacy": privacy})
    rng, furthest = np.random.default_rng(0), 0.0
    for _ in range(200):
        weight = 0.0
        for _ in range(privacy.steps):
            pull = federation.training.proximal_mu * weight if strategy == "fedprox" else 0.0
            step = (20 * privacy.clip_norm + rng.normal() * 2.0 * privacy.clip_norm) / 10.0 + pull
            weight -= privacy.learning_rate * step
        furthest = max(furthest, abs(weight))
    assert furthest <= reach(federation, 0.0, last=2) < 30 * furthest


def test_every_strategy_has_a_finite_reach(small_federation: Federation) -> None:
    for strategy in ("fedavg", "fedprox", "fedadam", "fedyogi"):
        federation = declared(small_federation, 60).changed({"training.strategy": strategy})
        assert 0 < reach(federation, 1.0, last=31) < 20
