"""Disagreement of two views of a patient, a loss without labels (SimSiam, Chen & He 2021)."""

from torch import Tensor
from torch.nn.functional import cosine_similarity


def agreement_loss(predicted: Tensor, other: Tensor) -> Tensor:
    """Return 1 - cosine of a view's prediction and the other view [B, width], per patient [B].

    Couples no two patients, so it stays a sum over patients; `other` is taken as fixed.
    """
    return 1 - cosine_similarity(predicted, other.detach(), dim=1)
