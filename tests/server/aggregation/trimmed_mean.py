"""Trimmed mean (Yin et al. 2018), a strategy from outside that withstands a few hospitals' ill-meant weights.

Per entry of a parameter, the k largest and the k smallest of the hospitals' values are left out, and the others count
alike; k is the largest number below a fifth of the hospitals with a weight in the parameter's averaging group.
"""

import numpy as np

from common.agreement.settings import Training
from server.aggregation.averaging import Weights
from server.aggregation.contributions import Contributions
from server.aggregation.registry import register_strategy

NAME = "trimmed-mean"


class TrimmedMean:
    """Mean of hospitals' weights without the extreme ones, entry by entry.

    Args:
        share: of the hospitals, left out at either end.
    """

    def __init__(self, share: float = 0.2) -> None:
        self._share = share

    def next_weights(self, contributions: Contributions) -> Weights:
        """The trimmed mean of every parameter that somebody trained."""
        weights = {site: contributions.weights(site) for site in sorted(contributions.behind)}
        following = dict(contributions.sent)
        for name, sites in contributions.contributors().items():
            if sites:
                values = np.sort([weights[site][name].astype(np.float64) for site in sites], axis=0)
                trimmed = int(self._share * len(sites))
                following[name] = values[trimmed : len(sites) - trimmed].mean(axis=0).astype(np.float32)
        return following


def make(training: Training) -> TrimmedMean:
    """The strategy of a run."""
    return TrimmedMean()


def register() -> None:
    """Let federation files name the strategy; again is no error."""
    register_strategy(NAME, make)
