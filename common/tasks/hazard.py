"""Discrete-time hazard: loss, survival curve, and intervals from moments of log time."""

from statistics import NormalDist

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


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
    fitted = NormalDist(mean, max(deviation, 1e-3))
    shares = [*(i / bins for i in range(1, bins)), (bins - 0.5) / bins]
    ends = np.expm1([fitted.inv_cdf(share) for share in shares])
    first = longest * 1e-6 * np.arange(1, bins + 1)  # cuts beyond either end stay increasing
    return torch.from_numpy(ends.clip(first, longest + first - first[-1])).float()
