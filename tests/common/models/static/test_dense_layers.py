"""Dense layers compute what the sparse layers compute, with the same gradients."""

from copy import deepcopy

import pytest
import torch
from torch import nn

from common.models.graphs import membership, topology
from common.models.layers import GAT, GCN, Edges, Pathways, Pattern
from common.models.static.dense_layers import LARGEST, DenseEdges, DenseMixing, make_dense

GRAPH = topology(9, [(0, 1), (1, 2), (2, 0), (4, 5), (7, 8)])


def _pathways() -> Pathways:
    members = membership([str(node) for node in range(9)], [("a", "0"), ("a", "3"), ("b", "3"), ("b", "8")])
    assert members is not None
    return Pathways(members)


@pytest.mark.parametrize("steepness", [1.0, 1000.0])
@pytest.mark.parametrize("layer", [GCN(GRAPH, 6, 4), GAT(GRAPH, 6, 4, 2), _pathways()])
def test_outputs_and_gradients_are_those_of_the_sparse_layer(layer: nn.Module, steepness: float) -> None:
    layer = deepcopy(layer).double()
    dense = deepcopy(layer)
    make_dense(dense)
    assert any(isinstance(part, DenseEdges | DenseMixing) for part in dense.modules())
    assert not any(isinstance(part, Pattern) for part in dense.modules())
    inputs = [(steepness * torch.randn(3, 9, 6, dtype=torch.float64)).requires_grad_() for _ in range(2)]
    inputs[1].data.copy_(inputs[0])
    outputs = [own(x) for own, x in zip((layer, dense), inputs, strict=True)]
    torch.testing.assert_close(outputs[1], outputs[0])
    weight = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weight).sum().backward()
    torch.testing.assert_close(inputs[1].grad, inputs[0].grad)
    for own, other in zip(layer.parameters(), dense.parameters(), strict=True):
        torch.testing.assert_close(other.grad, own.grad)


def test_a_large_graph_stays_sparse() -> None:
    layer = GAT(topology(LARGEST + 1, [(0, 1)]), 4, 4, 1)
    make_dense(layer)
    assert isinstance(layer.graph, Edges)


def test_products_along_edges_can_do_without_the_sparse_library() -> None:
    layer, x = GAT(GRAPH, 6, 4, 2), torch.randn(3, 9, 6)
    gathering = deepcopy(layer)
    patterns = [part for part in gathering.modules() if isinstance(part, Pattern)]
    assert [pattern.gather_rows() for pattern in patterns] == len(patterns) * [True]
    assert [pattern.gather_rows() for pattern in patterns] == len(patterns) * [False]
    for kind in (layer, gathering):
        kind(x).square().sum().backward()
    for own, other in zip(layer.parameters(), gathering.parameters(), strict=True):
        torch.testing.assert_close(other.grad, own.grad)
