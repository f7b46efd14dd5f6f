"""One run with canaries: how many of them the strongest attacker finds, and the epsilon that this refutes.

The quarter of the canaries that seem to have the largest share in training is guessed in, the quarter with the smallest
out. These numbers are fixed beforehand: choosing the best ones afterwards would need a correction.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from common.models.registry import build_model
from common.patients.batch import PatientBatch, concatenate
from simulations.audit.bound import epsilon_bound
from simulations.audit.canaries import make_canaries
from simulations.audit.gradient_attack import watched_shares
from simulations.audit.training_setups import Setting

GUESSED = 0.5
"""Share of the canaries on which a guess is made."""


@dataclass(frozen=True)
class OneRun:
    """What one run with canaries showed.

    Attributes:
        canaries, guesses, correct: how many there were, were guessed, and guessed rightly.
        bound: epsilon is above this with 95% confidence, at the delta asked for.
        ceiling: the bound if all guesses had been right: no larger epsilon can be seen with so many canaries.
    """

    canaries: int
    guesses: int
    correct: int
    bound: float
    ceiling: float


def audit_one_run(
    setting: Setting,
    folder: Path,
    patients: PatientBatch,
    cuts: dict[str, torch.Tensor],
    canaries: int,
    delta: float,
    seed: int,
) -> OneRun:
    """Train once on the patients and a random half of the canaries, guess which half, and bound epsilon.

    Args:
        setting: how to train, and what is claimed.
        folder: of the federation's public files.
        patients: standardised; all of them take part, and the attacker knows them.
        cuts: hazard intervals.
        canaries: how many are tossed for.
        delta: of the bound.
        seed: of canaries, coins and first weights; never of noise or sampling.
    """
    rng = np.random.default_rng(seed)
    tossed = make_canaries(setting.federation, cuts, canaries, rng)
    coins = rng.random(canaries) < 0.5
    model = build_model(setting.federation, folder, seed)
    inserted = concatenate([patients, tossed.select(torch.from_numpy(coins))])
    shares = watched_shares(model, inserted, patients, tossed, setting.federation, cuts, seed)
    guesses, correct = guess(shares, coins)
    return OneRun(
        canaries,
        guesses,
        correct,
        epsilon_bound(canaries, guesses, correct, delta),
        epsilon_bound(canaries, guesses, guesses, delta),
    )


def guess(shares: NDArray[np.float64], coins: NDArray[np.bool_]) -> tuple[int, int]:
    """Guesses made and right ones, the largest shares [m] being taken for in and the smallest for out."""
    each = int(len(shares) * GUESSED / 2)
    order = np.argsort(shares, kind="stable")
    right = (~coins[order[:each]]).sum() + coins[order[len(order) - each :]].sum()
    return 2 * each, int(right)
