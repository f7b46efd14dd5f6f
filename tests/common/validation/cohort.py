"""Made-up patients with censored times and a model that says too little risk."""

from dataclasses import dataclass

import numpy as np

from common.validation.observed import Array, Mask

HORIZON = 36.0


@dataclass(frozen=True)
class Made:
    """Times, events and predicted risks by the horizon of made-up patients."""

    time: Array
    event: Mask
    risk: Array
    had: Mask


def made(patients: int = 300, seed: int = 4, factor: float = 1.5) -> Made:
    """Draw patients; true hazards are `factor` times those that the model says."""
    rng = np.random.default_rng(seed)
    hazard = 0.006 * np.exp(0.9 * rng.standard_normal(patients))
    death = rng.exponential(1 / (factor * hazard))
    censoring = rng.exponential(60.0, patients) + 1
    time, event = np.minimum(death, censoring), death <= censoring
    return Made(time, event, 1 - np.exp(-hazard * HORIZON), death <= HORIZON)
