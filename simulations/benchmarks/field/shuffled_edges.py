"""Edges of the prior graph, shuffled so that every node keeps its degree."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

Edge = tuple[str, str]

SWAPS = 10
"""Swaps that are tried per edge, enough to leave no trace of the first graph (Milo et al. 2003)."""


def shuffled(
    edges: Sequence[Edge], kinds: Mapping[str, Hashable], rng: np.random.Generator, swaps: int = SWAPS
) -> list[Edge]:
    """Shuffle undirected edges by swaps of two ends (Maslov & Sneppen 2002).

    There are no loops or double edges.
    The edges (a, b) and (c, d) become (a, d) and (c, b), where a and c are of one kind, and b and d. So every node
    keeps its degree, also within the nodes of a modality, if a node's kind is the modalities that have it.

    Args:
        edges: pairs of nodes, in either order.
        kinds: node -> kind; a node that is not there is of kind None.
        rng: source of the draws.
        swaps: swaps that are tried per edge.
    """
    pairs = list(dict.fromkeys((min(edge), max(edge)) for edge in edges if edge[0] != edge[1]))
    order = {kind: number for number, kind in enumerate(dict.fromkeys([None, *kinds.values()]))}
    ends = [sorted(pair, key=lambda node: order[kinds.get(node)]) for pair in pairs]
    alike: dict[tuple[Hashable, Hashable], list[int]] = {}
    for number, (a, b) in enumerate(ends):
        alike.setdefault((kinds.get(a), kinds.get(b)), []).append(number)
    present = {frozenset(pair) for pair in ends}
    for (kind, other), numbers in alike.items():
        drawn = rng.integers(len(numbers), size=(swaps * len(numbers), 2))
        turned = rng.random(len(drawn)) < 0.5
        for (i, j), turn in zip(drawn.tolist(), turned.tolist(), strict=True):
            first, second = ends[numbers[i]], ends[numbers[j]]
            (a, b), (c, d) = first, second[::-1] if turn and kind == other else second
            after = frozenset((a, d)), frozenset((c, b))
            if len({a, b, c, d}) < 4 or after[0] in present or after[1] in present:
                continue
            present -= {frozenset(first), frozenset(second)}
            present |= set(after)
            ends[numbers[i]], ends[numbers[j]] = [a, d], [c, b]
    return [(min(pair), max(pair)) for pair in ends]
