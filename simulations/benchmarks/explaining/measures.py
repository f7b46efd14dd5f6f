"""Faithfulness of attributions: deletion, and agreement with a shuffled network.

Deletion follows Samek et al. 2017, the shuffled network Adebayo et al. 2018.
"""

from collections.abc import Mapping
from copy import deepcopy

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import spearmanr
from torch import Tensor

from common.explanation.patient import Patient
from common.explanation.targets import Explained
from common.models.shared import SharedModel

Array = NDArray[np.float64]


def deletion(patient: Patient, target: Explained, scores: Mapping[str, Tensor], share: float) -> float:
    """Return how much higher the target is without what lowers it than without what raises it.

    Args:
        patient: whose values are set to the mean.
        target: the number.
        scores: modality -> [nodes], higher for what raises the target more.
        share: of all nodes that are set to the mean, the lowest scores and then the highest.
    """
    values = patient.batch.values
    order = flat(scores).argsort()
    count = max(1, round(share * len(order)))
    numbers = []
    for nodes in (order[:count], order[-count:]):
        kept = np.ones(len(order))
        kept[nodes] = 0.0
        masks = torch.from_numpy(kept).float().split([part.shape[1] for part in values.values()])
        without = {name: part * mask for (name, part), mask in zip(values.items(), masks, strict=True)}
        numbers.append(float(patient.at(target, without)))
    return numbers[0] - numbers[1]


def shuffled(model: SharedModel, seed: int) -> SharedModel:
    """Return a copy of a model whose parameters hold their own numbers in another order."""
    other, draw = deepcopy(model), torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in other.parameters():
            order = torch.randperm(parameter.numel(), generator=draw)
            parameter.copy_(parameter.flatten()[order].view_as(parameter))
    return other


def agreement(first: Mapping[str, Tensor], second: Mapping[str, Tensor]) -> tuple[float, float]:
    """Return the rank correlation of two attributions, signed and of their sizes.

    Nodes to which both attribute nothing, such as missing values, do not count.
    """
    left, right = flat(first), flat(second)
    used = (left != 0) | (right != 0)
    left, right = left[used], right[used]
    return _rank_correlation(left, right), _rank_correlation(abs(left), abs(right))


def _rank_correlation(left: Array, right: Array) -> float:
    if len(np.unique(left)) < 2 or len(np.unique(right)) < 2:
        return float("nan")
    return float(spearmanr(left, right).statistic)


def flat(scores: Mapping[str, Tensor]) -> Array:
    """Return the numbers of all modalities, one after the other."""
    numbers: Array = torch.cat([part.flatten().double() for part in scores.values()]).numpy()
    return numbers
