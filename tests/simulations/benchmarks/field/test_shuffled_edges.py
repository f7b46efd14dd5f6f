from collections import Counter

import numpy as np

from simulations.benchmarks.field.shuffled_edges import Edge, shuffled

NODES = [f"G{number}" for number in range(60)]
PROTEINS = {*NODES[:20]}


def drawn(count: int, seed: int = 0) -> list[Edge]:
    rng = np.random.default_rng(seed)
    pairs = {(a, b) for a, b in rng.integers(len(NODES), size=(count, 2)).tolist() if a < b}
    return [(NODES[a], NODES[b]) for a, b in sorted(pairs)]


def degrees(edges: list[Edge]) -> Counter[str]:
    return Counter(node for edge in edges for node in edge)


def within(edges: list[Edge]) -> list[Edge]:
    """Edges between nodes that are proteins too."""
    return [edge for edge in edges if PROTEINS.issuperset(edge)]


def test_every_node_keeps_its_degree_in_every_modality_and_edges_change() -> None:
    edges = drawn(500)
    kinds = {node: frozenset({"rna", "protein"} if node in PROTEINS else {"rna"}) for node in NODES}
    after = shuffled(edges, kinds, np.random.default_rng(1))
    assert degrees(after) == degrees(edges)
    assert degrees(within(after)) == degrees(within(edges))
    assert len({frozenset(edge) for edge in after}) == len(edges)
    assert all(a != b for a, b in after)
    assert len({*after} & {*edges}) < len(edges) / 2
    assert {*within(after)} != {*within(edges)}


def test_the_seed_decides() -> None:
    edges = drawn(300)
    first, again, other = (shuffled(edges, {}, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert first == again != other


def test_doubled_edges_and_loops_are_dropped_and_a_single_edge_stays() -> None:
    edges = [("a", "b"), ("b", "a"), ("c", "c")]
    assert shuffled(edges, {}, np.random.default_rng(0)) == [("a", "b")]
    assert shuffled([], {}, np.random.default_rng(0)) == []
