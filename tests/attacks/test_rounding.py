"""Rounding as an attack on the promise of privacy, at length: sensitivity, and an audit of whole runs."""

import math
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import beta

from client.privacy.dp_sgd import train_privately
from client.training.round import Round
from common.agreement.model_config import HierarchicalConfig
from common.families.patients import FAMILY
from common.privacy.accounting import Release, spend
from tests.attacks.attack_table import AttackRow
from tests.client.privacy.rounding_attack import (
    SMALL,
    Attack,
    agreement,
    alike,
    craft,
    hold_by_other_kernels,
    require_thresholds,
    thresholds,
)
from tests.client.privacy.watched_steps import watching_noised_steps

pytestmark = [pytest.mark.attack, pytest.mark.slow]
PATIENTS = (2, 3, 5, 9, 17, 33, 49, 64, 80, 129, 500, 2000)
DELTA = 1e-3


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("learn", ["linear", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize("genes", [100, 1000, 1500])
def test_at_every_threshold_of_the_machine_one_patient_moves_a_sum_by_the_clip_norm(
    genes: int,
    dtype: torch.dtype,
    learn: str,
    threads: int,
    use_threads: Callable[[int], None],
    attack_row: AttackRow,
) -> None:
    """Hold the shipped model as well as a small one, for cohorts from 2 to 2,000 patients."""
    use_threads(threads)
    worst, at_once, sizes = 0.0, 0.0, list[int]()
    for model in (SMALL, HierarchicalConfig(gcn_layers=0, gat_layers=0, pathway_gat_layers=0)):
        federation = agreement(genes, learn, model=model)
        for rows in thresholds(federation, dtype, 140):
            attack = craft(federation, rows, dtype)
            if attack is not None:
                sizes.append(rows)
                at_once = max(at_once, attack.sensitivity(rows, in_slots=False))
                few = (patients for patients in PATIENTS if patients <= 129)
                for patients in (rows, rows + 32, rows + 64, *(PATIENTS if model is SMALL else few)):
                    worst = max(worst, attack.sensitivity(patients))
    require_thresholds(sizes)
    attack_row(
        f"rounding, {genes} genes, {learn}, {str(dtype)[6:]}, {threads} threads",
        "<= 1.0001 clip norms",
        f"{worst:.6f} at {len(sizes)} thresholds; {at_once:.1f} all at once",
    )
    assert worst <= 1.0001


def strongest(threads: int) -> tuple[Attack, int]:
    """Return the attack that would turn most patients, and their number."""
    torch.set_num_threads(threads)
    found = []
    for genes, width in ((3000, 20), (1000, 32), (100, 32)):
        model = SMALL.model_copy(update={"width": width})
        federation = agreement(genes, model=HierarchicalConfig.model_validate(model.model_dump()))
        for rows in thresholds(federation, torch.float32, 70):
            attack = craft(federation, rows, torch.float32)
            if attack is not None and attack.sensitivity(rows) > 0.5:
                found.append((attack.sensitivity(rows, in_slots=False), rows, attack))
    require_thresholds(found)
    _, rows, attack = max(found, key=lambda one: one[:2])
    return attack, rows


def test_an_audit_with_crafted_weights_stays_below_the_epsilon_of_the_ledger(
    use_threads: Callable[[int], None], attack_row: AttackRow
) -> None:
    """Read 30 rounds of the same crafted weights along the direction that the target moves."""
    attack, patients = strongest(threads=2)
    at_once = attack.sensitivity(patients, in_slots=False)
    direction = attack.summed(patients, True) - attack.summed(patients - 1, True)
    direction /= direction.norm()
    federation, model = attack.federation, attack.model
    privacy = federation.privacy
    assert privacy is not None
    crafted = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    scaling = FAMILY.declared(federation)
    rounds, runs = federation.training.rounds, 100

    def seen(present: bool) -> float:
        batch = alike(federation, patients if present else patients - 1)
        with watching_noised_steps() as steps:
            for number in range(1, rounds + 1):
                model.load_state_dict(crafted)
                train_privately(model, batch, Round(federation, scaling, number), privacy)
        return float((torch.stack(steps) @ direction).sum())

    inside, outside = (np.array([seen(present) for _ in range(runs)]) for present in (True, False))
    cut = (inside.mean() + outside.mean()) / 2
    hits, alarms = int((inside > cut).sum()), int((outside > cut).sum())
    least = beta.ppf(0.025, hits, runs - hits + 1)
    most = beta.ppf(0.975, alarms + 1, runs - alarms)
    bound = math.log(max(float(least) - DELTA, 1e-9) / float(most))
    noise = privacy.noise_multiplier
    claimed = spend([Release(mechanism="training", noise_multiplier=noise, steps=rounds)], DELTA).epsilon
    apart = (inside.mean() - outside.mean()) / ((inside.std() + outside.std()) / 2)
    attack_row(
        f"audit of 30 rounds by crafted weights, {patients} patients, {at_once:.0f} clip norms all at once",
        f"epsilon < {claimed:.2f}",
        f"at least {bound:.2f}, {apart:.2f} deviations apart (theory {rounds**0.5 / noise:.2f})",
    )
    assert claimed == pytest.approx(1.0, abs=0.01)
    assert bound < 1.0
    assert abs(apart) < 2 * rounds**0.5 / noise


def test_all_of_it_holds_with_kernels_that_round_by_the_number_of_rows(attack_row: AttackRow) -> None:
    hold_by_other_kernels(__file__, "threshold_of_the_machine or audit", agreement(100))
    attack_row("rounding and audit, kernels of a plain process", "as above", "all held")
