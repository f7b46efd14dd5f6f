"""GCN and GAT over a topology that all patients share: no tensor of messages per edge and feature exists.

A GCN layer is one sparse product for the whole batch. A GAT layer is a block-diagonal sparse product, one block per
patient and head, whose entries are the attention coefficients; its backward is a sampled dense-dense product for the
coefficients and the transposed sparse product for the features. Parameters live in `nn.Linear` with the patient
as first dimension, which makes per-patient gradients exact.
"""

from functools import lru_cache
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from common.graphs import Membership, Topology

SLOPE = 0.2
"""Negative slope of the attention scores (Velickovic et al. 2018)."""


class _SparseProduct(torch.autograd.Function):
    """matrix [M, N] @ x [N, F] with a constant sparse matrix and its transpose at hand."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
        ctx.transposed = transposed
        return matrix @ x

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor]:
        return None, None, ctx.transposed @ grad.contiguous()


def mix_nodes(matrix: Tensor, transposed: Tensor, x: Tensor) -> Tensor:
    """matrix [M, N] applied to the nodes of x [B, N, F] -> [B, M, F]."""
    batch, nodes, features = x.shape
    flat = x.transpose(0, 1).reshape(nodes, batch * features)
    mixed: Tensor = _SparseProduct.apply(matrix, transposed, flat)  # type: ignore[no-untyped-call]
    return mixed.view(matrix.shape[0], batch, features).transpose(0, 1)


class GCN(nn.Module):
    """x' = D^-1/2 (A + I) D^-1/2 x W + b (Kipf & Welling 2017), [B, N, inputs] -> [B, N, outputs]."""

    def __init__(self, graph: Topology, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.shared = _Shared(_csr(graph.rows, graph.columns, graph.gcn_weight, graph.nodes))

    def forward(self, x: Tensor) -> Tensor:
        """Node features [B, N, inputs] -> [B, N, outputs]."""
        # A symmetric matrix is its own transpose. Rows of A do not sum to 1, so the bias is added after mixing.
        mixed = mix_nodes(self.shared.matrix, self.shared.matrix, x)
        out: Tensor = self.linear(mixed)
        return out


class Pathways(nn.Module):
    """Mean over each pathway's member nodes, [B, N, F] -> [B, P, F]."""

    def __init__(self, members: Membership) -> None:
        super().__init__()
        self.mean, self.spread = _Shared(members.matrix), _Shared(members.transposed)

    def forward(self, x: Tensor) -> Tensor:
        """Node features [B, N, F] -> pathway features [B, P, F]."""
        return mix_nodes(self.mean.matrix, self.spread.matrix, x)


class _Shared(nn.Module):
    """A sparse matrix that moves with the model and is no part of its state."""

    matrix: Tensor

    def __init__(self, matrix: Tensor) -> None:
        super().__init__()
        self.register_buffer("matrix", matrix, persistent=False)


class GAT(nn.Module):
    """Graph attention (Velickovic et al. 2018), heads concatenated, [B, N, inputs] -> [B, N, outputs].

    a_ij = softmax over senders j of leaky_relu(s_j + t_i), where scores s and t are linear in the layer's input;
    x'_i = sum_j a_ij W x_j + b.
    """

    def __init__(self, graph: Topology, inputs: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.heads, self.width = heads, outputs // heads
        self.value = nn.Linear(inputs, outputs, bias=False)
        self.score = nn.Linear(inputs, 2 * heads, bias=False)
        self.out = nn.Linear(outputs, outputs)
        self.graph = _SharedGraph(graph)

    def forward(self, x: Tensor) -> Tensor:
        """Node features [B, N, inputs] -> [B, N, outputs]."""
        out: Tensor = self.out(self.attend(x))
        return out

    def attend(self, x: Tensor) -> Tensor:
        """The attention itself, [B, N, inputs] -> [B, N, outputs], before the output projection."""
        value = self.value(x).unflatten(-1, (self.heads, self.width)).transpose(1, 2).contiguous()
        sending, receiving = self.score(x).transpose(1, 2).split(self.heads, dim=1)
        mixed: Tensor = _Attention.apply(sending, receiving, value, self.graph)  # type: ignore[no-untyped-call]
        return mixed.transpose(1, 2).flatten(-2)


class _SharedGraph(nn.Module):
    """The index tensors of a topology, moved with the model and no part of its state."""

    columns_long: Tensor
    receiver: Tensor
    rows: Tensor
    columns: Tensor
    transpose_order: Tensor
    transposed_rows: Tensor
    transposed_columns: Tensor

    def __init__(self, graph: Topology) -> None:
        super().__init__()
        self.register_buffer("columns_long", graph.columns.long(), persistent=False)
        self.register_buffer("receiver", graph.receiver, persistent=False)
        self.register_buffer("rows", graph.rows, persistent=False)
        self.register_buffer("columns", graph.columns, persistent=False)
        self.register_buffer("transpose_order", graph.transpose, persistent=False)
        self.register_buffer("transposed_rows", graph.transposed_rows, persistent=False)
        self.register_buffer("transposed_columns", graph.transposed_columns, persistent=False)
        self._blocks = lru_cache(maxsize=4)(self._make_blocks)

    def blocks(self, count: int, transposed: bool) -> tuple[Tensor, Tensor]:
        """CSR (rows, columns) of `count` copies of the graph along the diagonal."""
        return self._blocks(count, transposed, self.rows.device)

    def _make_blocks(self, count: int, transposed: bool, device: torch.device) -> tuple[Tensor, Tensor]:
        rows = self.transposed_rows if transposed else self.rows
        columns = self.transposed_columns if transposed else self.columns
        step = torch.arange(count, device=device, dtype=torch.int32)[:, None]
        starts = (rows[:-1] + step * len(columns)).flatten()
        end = torch.tensor([count * len(columns)], device=device, dtype=torch.int32)
        return torch.cat([starts, end]), (columns + step * (len(rows) - 1)).flatten()


class _Attention(torch.autograd.Function):
    """Softmax over the senders of every receiver and the weighted sum of their values, without normalised weights.

    sending, receiving [B, H, N], value [B, H, N, D] -> [B, H, N, D]. With e_ij = exp(score_ij - m_i) and
    Z_i = sum_j e_ij the output is (e @ value)_i / Z_i; its gradient in score_ij is
    e_ij / Z_i * (grad_i . value_j - grad_i . out_i), where the first product is sampled on the edges.
    """

    @staticmethod
    def forward(ctx: Any, sending: Tensor, receiving: Tensor, value: Tensor, graph: "_SharedGraph") -> Tensor:
        score = sending[..., graph.columns_long] + receiving[..., graph.receiver]
        slope = torch.where(score > 0, score.new_ones(()), score.new_full((), SLOPE))
        weight = score.mul_(slope)
        weight = weight.sub_(_shift(weight, sending, receiving, graph)).exp_()
        matrix = _block_matrix(weight, graph, transposed=False)
        total = matrix.matmul(value.new_ones(value[..., 0].numel(), 1)).view(*value.shape[:3], 1)
        out = matrix.matmul(value.flatten(0, 2)).view_as(value) / total
        ctx.save_for_backward(weight, slope, value, total, out)
        ctx.graph = graph
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, Tensor, None]:
        weight, slope, value, total, out = ctx.saved_tensors
        graph = ctx.graph
        scaled = (grad / total).contiguous()
        flat = scaled.flatten(0, 2)
        pattern = _block_matrix(torch.zeros_like(weight), graph, transposed=False)
        sampled = torch.sparse.sampled_addmm(pattern, flat, value.flatten(0, 2).t(), beta=0.0)
        own = (scaled * out).sum(-1)
        grad_score = (sampled.values().view_as(weight) - own[..., graph.receiver]).mul_(weight).mul_(slope)
        nodes = torch.zeros_like(own)
        grad_sending = nodes.scatter_add(-1, graph.columns_long.expand_as(weight), grad_score)
        grad_receiving = nodes.scatter_add(-1, graph.receiver.expand_as(weight), grad_score)
        grad_value = _block_matrix(weight[..., graph.transpose_order], graph, transposed=True).matmul(flat)
        return grad_sending, grad_receiving, grad_value.view_as(value), None


def _shift(score: Tensor, sending: Tensor, receiving: Tensor, graph: "_SharedGraph") -> Tensor:
    """[B, H, E] what to subtract before exp: the exact maximum per receiver, or where it is safe a bound on it.

    leaky_relu is monotone and 1-Lipschitz, so leaky_relu(max_j sending_j + receiving_i) exceeds the true maximum by
    at most the range of `sending`; below 60 that costs no precision in float32, and it needs no pass over the edges.
    Which of the two is taken is decided for every patient alone: they differ where numbers overflow, and under privacy
    no patient may change what another's gradient is.
    """
    if score.device.type == "cpu" and score.numel():
        low, high = sending.aminmax(dim=-1, keepdim=True)
        bound = leaky_relu(high + receiving, SLOPE)[..., graph.receiver]
        wide = ~(high - low < 60.0)  # per patient and head; also where it is no number
        if not bool(wide.any()):
            return bound
        return torch.where(wide, _largest(score, receiving, graph), bound)
    return _largest(score, receiving, graph)


def _largest(score: Tensor, receiving: Tensor, graph: "_SharedGraph") -> Tensor:
    """[B, H, E] the largest score among the senders of each edge's receiver."""
    index = graph.receiver.expand(score.shape)
    largest = torch.full_like(receiving, -torch.inf).scatter_reduce(-1, index, score, "amax")
    return largest[..., graph.receiver]


def _block_matrix(weight: Tensor, graph: _SharedGraph, transposed: bool) -> Tensor:
    """The graph's edges weighted by weight [B, H, E], one block per patient and head, as a sparse CSR matrix."""
    blocks, nodes = weight.shape[0] * weight.shape[1], len(graph.rows) - 1
    rows, columns = graph.blocks(blocks, transposed)
    return _csr(rows, columns, weight.reshape(-1), blocks * nodes)


def _csr(rows: Tensor, columns: Tensor, values: Tensor, nodes: int) -> Tensor:
    """A square sparse matrix from indices that a `Topology` has made right."""
    with torch.sparse.check_sparse_tensor_invariants(False):
        return torch.sparse_csr_tensor(rows, columns, values, size=(nodes, nodes))
