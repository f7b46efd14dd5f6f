"""One run with canaries: the strongest attacker's right guesses, and the refuted epsilon.

The quarter of the canaries with the largest estimated share in training is guessed in, the quarter with the smallest
out. These numbers are fixed beforehand, because choosing the best ones afterwards would need a correction.
"""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from common.models.registry import build_model
from common.patients.batch import PatientBatch, concatenate
from simulations.audit.bound import epsilon_bound
from simulations.audit.canaries import make_canaries
from simulations.audit.gradient_attack import watched_shares
from simulations.audit.report import CanaryRun
from simulations.audit.training_setups import TrainingSetup

GUESSED = 0.5
"""Share of the canaries with a guess."""


def audit_one_run(
    setup: TrainingSetup,
    folder: Path,
    patients: PatientBatch,
    cuts: dict[str, torch.Tensor],
    canaries: int,
    delta: float,
    seed: int,
) -> CanaryRun:
    """Train once on the patients and a random half of the canaries, and bound epsilon.

    Args:
        setup: way of training, with its claim.
        folder: folder of the federation's public files.
        patients: standardised; all of them take part, and the attacker knows them.
        cuts: hazard intervals.
        canaries: number of canaries.
        delta: delta of the bound.
        seed: seed of canaries, coins and first weights; never of noise or sampling.
    """
    rng = np.random.default_rng(seed)
    tossed = make_canaries(setup.federation, cuts, canaries, rng)
    coins = rng.random(canaries) < 0.5
    model = build_model(setup.federation, folder, seed)
    inserted = concatenate([patients, tossed.select(torch.from_numpy(coins))])
    shares = watched_shares(model, inserted, patients, tossed, setup.federation, cuts, seed)
    guesses, correct = guess(shares, coins)
    return CanaryRun(
        canaries=canaries,
        guesses=guesses,
        correct=correct,
        bound=epsilon_bound(canaries, guesses, correct, delta),
        ceiling=epsilon_bound(canaries, guesses, guesses, delta),
    )


def guess(shares: NDArray[np.float64], coins: NDArray[np.bool_]) -> tuple[int, int]:
    """Count guesses and right guesses.

    The largest shares [m] are taken for in, and the smallest for out.
    """
    side = int(len(shares) * GUESSED / 2)
    order = np.argsort(shares, kind="stable")
    right = (~coins[order[:side]]).sum() + coins[order[len(order) - side :]].sum()
    return 2 * side, int(right)
