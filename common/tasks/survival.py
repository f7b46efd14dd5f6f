"""Discrete-time hazard loss, and the survival curve of hazards."""

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid


def hazard_loss(logits: Tensor, cuts: Tensor, time: Tensor, event: Tensor) -> Tensor:
    """Negative log-likelihood of a discrete-time hazard (Gensheimer & Narasimhan 2019), per patient [B].

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
    place = interval.clamp(max=len(cuts) - 1)
    died = (event > 0) & inside
    passed = interval + (inside & ~died & (time >= middle[place])).long()
    survived = torch.arange(len(cuts), device=cuts.device) < passed[:, None]
    log_survival = (logsigmoid(-logits) * survived).sum(1)
    log_hazard = logsigmoid(logits.gather(1, place[:, None]).squeeze(1)) * died
    return -(log_survival + log_hazard)


def survival_curve(logits: Tensor) -> Tensor:
    """[B, K] probability of surviving past each cut, from hazard logits [B, K]."""
    return logsigmoid(-logits).cumsum(1).exp()
