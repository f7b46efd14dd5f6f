"""Layers of small graphs by products of dense matrices, which take few operations of a GPU.

They compute what `common.models.layers` computes, rounded otherwise.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from common.models.layers import GAT, GCN, SLOPE, Attending, Edges, Mixing, Pathways, by_head, single

LARGEST = 256
"""Nodes of the largest graph for which a dense matrix per patient and head is the quicker way on a GPU."""


class DenseMixing(nn.Module):
    """Constant matrix [M, N], applied to the nodes of every patient."""

    matrix: Tensor

    def __init__(self, mixing: Mixing) -> None:
        super().__init__()
        self.register_buffer("matrix", mixing.matrix(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix nodes x [B, N, F] -> [B, M, F]."""
        x = single(x)
        return torch.bmm(self.matrix.expand(len(x), -1, -1), x)


class DenseEdges(Attending):
    """Edges of a graph as a mask [N, N], True where there is none."""

    absent: Tensor

    def __init__(self, edges: Edges) -> None:
        super().__init__()
        absent = torch.ones(edges.nodes, edges.nodes, dtype=torch.bool, device=edges.sender.device)
        absent[edges.receiver, edges.sender] = False
        self.register_buffer("absent", absent, persistent=False)

    def attend(self, scores: Tensor, value: Tensor, heads: int) -> Tensor:
        """Attend as `Edges.attend`."""
        sending, receiving = single(scores).unflatten(2, (2, heads)).permute(2, 0, 3, 1)  # [B, H, N]
        score = leaky_relu(sending[:, :, None] + receiving[..., None], SLOPE)
        weight = score.masked_fill(self.absent, -torch.inf).softmax(-1)
        mixed: Tensor = weight @ by_head(single(value), heads)
        return mixed.transpose(1, 2).flatten(2)


def make_dense(model: nn.Module) -> None:
    """Give layers over small graphs, and means over few pathways, their dense form."""
    for module in list(model.modules()):
        if isinstance(module, GAT) and isinstance(module.graph, Edges) and module.graph.nodes <= LARGEST:
            module.graph = DenseEdges(module.graph)
        if isinstance(module, GCN) and isinstance(module.mixing, Mixing) and module.mixing.nodes <= LARGEST:
            module.mixing = DenseMixing(module.mixing)
        if isinstance(module, Pathways) and isinstance(module.mean, Mixing) and module.mean.nodes <= LARGEST:
            module.mean = DenseMixing(module.mean)
