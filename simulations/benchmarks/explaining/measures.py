"""Faithfulness of attributions: deletion, and agreement with a shuffled network.

Deletion follows Samek et al. 2017, the shuffled network Adebayo et al. 2018.
"""

from collections.abc import Callable, Mapping
from copy import deepcopy
from itertools import combinations
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu, spearmanr
from torch import Tensor

from common.models.shared import SharedModel

Array = NDArray[np.float64]


Number = Callable[[Tensor], Tensor]
"""Mask of the nodes that keep their value, [rows, nodes] of 0 and 1 -> the number, [rows]."""


def deletion(number: Number, scores: Mapping[str, Tensor], share: float) -> float:
    """Return how much higher the target is without what lowers it than without what raises it.

    Args:
        number: the target with some values set to the mean.
        scores: modality -> [nodes], higher for what raises the target more.
        share: of all nodes that are set to the mean, the lowest scores and then the highest.
    """
    order = flat(scores).argsort()
    return float(_gaps(number, order[None], share)[0])


def random_deletion(number: Number, nodes: int, share: float, draws: int, seed: int) -> float:
    """Return the deletion by random scores, the mean over draws."""
    draw = np.random.default_rng(seed)
    orders = np.stack([draw.permutation(nodes) for _ in range(draws)])
    return float(_gaps(number, orders, share).mean())


def _gaps(number: Number, orders: NDArray[np.intp], share: float) -> Array:
    """Return the deletion [rows] by orders [rows, nodes] from the lowest score."""
    rows, nodes = orders.shape
    count = max(1, round(share * nodes))
    kept = torch.ones(2 * rows, nodes)
    for row, order in enumerate(orders):
        kept[row, order[:count]] = 0
        kept[rows + row, order[-count:]] = 0
    numbers: Array = number(kept).double().numpy()
    return numbers[:rows] - numbers[rows:]


def area(positive: NDArray[np.bool_], scores: Array) -> float:
    """Return the area under the ROC curve of scores; NaN without both classes."""
    if positive.all() or not positive.any():
        return float("nan")
    statistic = mannwhitneyu(scores[positive], scores[~positive]).statistic
    return float(statistic / (positive.sum() * (~positive).sum()))


def in_common(sizes: Array, share: float) -> float:
    """Return the share of the largest sizes [rows, nodes] in common, over pairs of rows."""
    count = max(1, ceil(share * sizes.shape[1]))
    top = [set(row.argsort()[-count:].tolist()) for row in sizes]
    return float(np.mean([len(first & second) / count for first, second in combinations(top, 2)]))


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
