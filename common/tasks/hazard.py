"""Discrete-time hazard: loss, survival curve, and intervals from moments of log time."""

from statistics import NormalDist

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import logsigmoid

Array = NDArray[np.float64]


SMALLEST_DEVIATION = 1e-3
"""Smallest standard deviation of log(1 + time), for events that all happen at once."""


def hazard_loss(logits: Tensor, cuts: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Return the negative log-likelihood [B] of a discrete-time hazard.

    Gensheimer & Narasimhan 2019.

    Args:
        logits: [B, K] logit of the hazard in each interval.
        cuts: [K] increasing ends of the intervals; the first starts at 0.
        time: [B] in the unit of `cuts`; beyond the last cut a patient counts as censored there.
        event: [B] 1 for an event, 0 for censoring. A censored patient has survived the interval the censoring
            falls in if it falls in its second half.
    """
    interval = torch.bucketize(time.contiguous(), cuts)
    starts = torch.cat([cuts.new_zeros(1), cuts[:-1]])
    middle = (starts + cuts) / 2
    inside = interval < len(cuts)
    index = interval.clamp(max=len(cuts) - 1)
    died = (event > 0) & inside
    passed = interval + (inside & ~died & (time >= middle[index])).long()
    survived = torch.arange(len(cuts), device=cuts.device) < passed[:, None]
    log_survival = (logsigmoid(-logits) * survived).sum(1)
    log_hazard = logsigmoid(logits.gather(1, index[:, None]).squeeze(1)) * died
    return -(log_survival + log_hazard)


def survival_curve(logits: Tensor) -> Tensor:
    """Return the probability [B, K] of surviving past each cut, from hazard logits [B, K]."""
    return logsigmoid(-logits).cumsum(1).exp()


def hazard_cuts(mean: float, deviation: float, bins: int, longest: float) -> Tensor:
    """Return the ends [bins] of the hazard intervals from the moments of log(1 + time).

    They hold equal shares of the events; the last one is cut at half a share.
    """
    fitted = NormalDist(mean, max(deviation, SMALLEST_DEVIATION))
    ends = np.expm1([fitted.inv_cdf(share) for share in _shares(bins)])
    earliest, latest = _limits(bins, longest)
    return torch.from_numpy(ends.clip(earliest, latest)).float()


def fitted_moments(cuts: Tensor, longest: float) -> tuple[float, float] | None:
    """Return (mean, deviation) of log(1 + time) of which these are the intervals' ends.

    None with fewer than two ends within the follow-up, which tell no deviation.
    """
    ends = cuts.double().numpy()
    earliest, latest = _limits(len(ends), longest)
    inner = (ends > 1.5 * earliest) & (ends < latest - earliest[0] / 2)
    if inner.sum() < 2:
        return None
    quantiles = np.array([NormalDist().inv_cdf(share) for share in _shares(len(ends))])[inner]
    slope, mean = np.polyfit(quantiles, np.log1p(ends[inner]), 1)
    return float(mean), float(slope)


def _shares(bins: int) -> list[float]:
    return [*(i / bins for i in range(1, bins)), (bins - 0.5) / bins]


def _limits(bins: int, longest: float) -> tuple[Array, Array]:
    """Earliest and latest ends [bins], beyond which cuts stay increasing."""
    earliest: Array = longest * 1e-6 * np.arange(1, bins + 1, dtype=np.float64)
    latest: Array = longest + earliest - earliest[-1]
    return earliest, latest
