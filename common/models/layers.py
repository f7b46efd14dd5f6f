"""GCN and GAT over a shared topology, without a tensor of messages per edge.

Both are sums over each node's senders of a weight times the sender's row, for every patient (and head) in one call of
`embedding_bag`, which gathers and adds in one pass. So are their gradients; that of a GAT's scores is a sampled
dense-dense product besides. Both are done patient by patient and edge by edge in a fixed order, so that no patient is
rounded otherwise for another's sake. Parameters live in `nn.Linear` with the patient as first dimension, which makes
per-patient gradients exact.
"""

from abc import ABC, abstractmethod
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu, leaky_relu_

from common.models.graphs import Membership, Topology

SLOPE = 0.2
"""Negative slope of the attention scores (Velickovic et al. 2018)."""


class Pattern(nn.Module):
    """CSR pattern of a sparse matrix [M, N] with E entries.

    It moves with the model to a device and is no part of the model's state.
    """

    _receiver: Tensor | None = None

    rows: Tensor
    columns: Tensor

    def __init__(self, rows: Tensor, columns: Tensor, nodes: int) -> None:
        super().__init__()
        self.nodes = nodes
        self.register_buffer("rows", rows.int(), persistent=False)
        self.register_buffer("columns", columns.int(), persistent=False)
        self._repeated = (rows[:0], columns[:0])

    def sums(self, weight: Tensor, x: Tensor) -> Tensor:
        """Multiply K matrices with entries `weight` [K, E] by x [K, N, F] -> [K, M, F].

        The product is outside autograd.
        """
        copies, _, features = x.shape
        rows, columns = self._along_the_diagonal(copies)
        sums, *_ = torch.embedding_bag(
            x.detach().reshape(-1, features),
            columns,
            rows,
            mode=0,  # sums
            per_sample_weights=weight.detach().reshape(-1),
            include_last_offset=True,
        )
        return sums.view(copies, len(self.rows) - 1, features)

    def reduced(self, x: Tensor, how: Literal["sum", "max"]) -> Tensor:
        """Reduce the entries x [K, E] of every row, one after the other -> [K, M]; outside autograd."""
        along = x.detach().t().contiguous()  # so that neighbouring threads of a GPU read neighbours
        return torch.segment_reduce(along, how, offsets=self.rows, axis=0, unsafe=True).t()

    def products(self, left: Tensor, right: Tensor, less: Tensor) -> Tensor:
        """Compute dot(left[:, i], right[:, j]) - less per entry (i, j), in place.

        Shapes: [K, M, F], [K, N, F] -> [K, E].

        Args:
            left: rows of receivers.
            right: rows of senders.
            less: [K, E], which is overwritten and returned. Outside autograd.
        """
        copies, receivers, _ = left.shape
        if self._receiver is not None:
            pairs = left.index_select(1, self._receiver), right.index_select(1, self.columns)
            return torch.sub(torch.linalg.vecdot(*pairs), less, out=less)
        rows, columns = self._along_the_diagonal(copies)
        size = (copies * receivers, copies * self.nodes)
        with torch.sparse.check_sparse_tensor_invariants(False):  # a `Topology` has made them right
            entries = torch.sparse_csr_tensor(rows, columns, less.view(-1), size)
        left, right = left.flatten(0, 1), right.flatten(0, 1)
        torch.sparse.sampled_addmm(entries, left, right.t(), beta=-1.0, out=entries)
        return less

    def gather_rows(self) -> bool:
        """Have `products` do without the sparse library; return whether it had not yet."""
        before, self._receiver = self._receiver, self._receiver_of_entries()
        return before is None

    def dense(self, weight: Tensor) -> Tensor:
        """Return the matrix [M, N] with these entries [E]."""
        matrix = weight.new_zeros(len(self.rows) - 1, self.nodes)
        matrix[self._receiver_of_entries(), self.columns.long()] = weight
        return matrix

    def _receiver_of_entries(self) -> Tensor:
        """Return the row [E] of every entry."""
        return torch.repeat_interleave(self.rows.diff(), output_size=len(self.columns))

    def _along_the_diagonal(self, copies: int) -> tuple[Tensor, Tensor]:
        """Return the CSR form of a block-diagonal matrix of copies of the pattern.

        Fewer copies are the beginning of the same arrays.
        """
        receivers, edges = len(self.rows) - 1, len(self.columns)
        rows, columns = self._repeated
        if len(rows) <= copies * receivers or rows.device != self.rows.device:
            block = torch.arange(copies, device=self.rows.device, dtype=torch.int32)[:, None]
            rows = torch.cat([(self.rows[:-1] + block * edges).flatten(), self.rows[-1:] * copies])
            columns = (self.columns + block * self.nodes).flatten()
            self._repeated = rows, columns
        return rows[: copies * receivers + 1], columns[: copies * edges]


def _patterns(graph: Topology) -> tuple[Pattern, Pattern]:
    """Return patterns of the edges by receiver and by sender.

    They are the same object where every edge goes both ways.
    """
    pattern = Pattern(graph.rows, graph.columns, graph.nodes)
    transposed = Pattern(graph.transposed_rows, graph.transposed_columns, graph.nodes)
    same = torch.equal(pattern.rows, transposed.rows) and torch.equal(pattern.columns, transposed.columns)
    return pattern, pattern if same else transposed


class Mixing(nn.Module):
    """Constant sparse matrix [M, N] and its transpose, applied to the nodes of every patient."""

    weight: Tensor
    transposed_weight: Tensor

    def __init__(
        self, pattern: Pattern, transposed: Pattern, weight: Tensor, transposed_weight: Tensor
    ) -> None:
        super().__init__()
        self.pattern, self.transposed = pattern, transposed
        self.register_buffer("weight", weight, persistent=False)
        self.register_buffer("transposed_weight", transposed_weight, persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix nodes x [B, N, F] -> [B, M, F]."""
        mixed: Tensor = _Mixed.apply(single(x), self)  # type: ignore[no-untyped-call]
        return mixed

    @property
    def nodes(self) -> int:
        """Larger side of the matrix."""
        return max(self.pattern.nodes, self.transposed.nodes)

    def matrix(self) -> Tensor:
        """Return the matrix [M, N] with its zeros."""
        return self.pattern.dense(self.weight)


class _Mixed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, mixing: Mixing) -> Tensor:
        ctx.mixing = mixing
        return mixing.pattern.sums(mixing.weight.expand(len(x), -1), x)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:
        weight = ctx.mixing.transposed_weight.expand(len(grad), -1)
        return ctx.mixing.transposed.sums(weight, grad), None


class GCN(nn.Module):
    """Graph convolution (Kipf & Welling 2017), [B, N, inputs] -> [B, N, outputs].

    x' = D^-1/2 (A + I) D^-1/2 x W + b.
    """

    def __init__(self, graph: Topology, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(inputs, outputs)
        self.mixing: nn.Module = Mixing(
            *_patterns(graph), graph.gcn_weight, graph.gcn_weight[graph.transpose]
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map node features [B, N, inputs] -> [B, N, outputs]."""
        # Rows of A do not sum to 1, so the bias is added after mixing.
        out: Tensor = self.linear(self.mixing(x))
        return out


class Pathways(nn.Module):
    """Mean over a pathway's member nodes, [B, N, F] -> [B, P, F]."""

    def __init__(self, members: Membership) -> None:
        super().__init__()
        mean, spread = members.matrix, members.transposed
        to_pathways, to_nodes = (
            Pattern(matrix.crow_indices(), matrix.col_indices(), matrix.shape[1]) for matrix in (mean, spread)
        )
        self.mean: nn.Module = Mixing(to_pathways, to_nodes, mean.values(), spread.values())

    def forward(self, x: Tensor) -> Tensor:
        """Average node features [B, N, F] -> pathway features [B, P, F]."""
        mean: Tensor = self.mean(x)
        return mean


class GAT(nn.Module):
    """Graph attention (Velickovic et al. 2018): [B, N, inputs] -> [B, N, outputs].

    The heads' outputs are concatenated.

    a_ij = softmax over senders j of leaky_relu(s_j + t_i), where scores s and t are linear in the layer's input;
    x'_i = sum_j a_ij W x_j + b.
    """

    def __init__(self, graph: Topology, inputs: int, outputs: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.value = nn.Linear(inputs, outputs, bias=False)
        self.score = nn.Linear(inputs, 2 * heads, bias=False)
        self.out = nn.Linear(outputs, outputs)
        self.graph: Attending = Edges(graph)

    def forward(self, x: Tensor) -> Tensor:
        """Map node features [B, N, inputs] -> [B, N, outputs]."""
        out: Tensor = self.out(self.attend(x))
        return out

    def attend(self, x: Tensor) -> Tensor:
        """Attend, [B, N, inputs] -> [B, N, outputs], before the output projection."""
        scores, value = single(self.score(x)), single(self.value(x))
        return self.graph.attend(scores, value, self.heads)


def single(x: Tensor) -> Tensor:
    """Return half-precision numbers of autocast in single precision, for sums and softmax."""
    return x.float() if x.dtype in (torch.bfloat16, torch.float16) else x


class Attending(nn.Module, ABC):
    """Edges of a graph that attention goes along."""

    @abstractmethod
    def attend(self, scores: Tensor, value: Tensor, heads: int) -> Tensor:
        """Sum values [B, N, F] over senders by attention scores [B, N, 2 x heads]."""


class Edges(Attending):
    """Index tensors of a topology, moved with the model and no part of its state."""

    sender: Tensor
    receiver: Tensor
    transpose: Tensor

    def __init__(self, graph: Topology) -> None:
        super().__init__()
        self.register_buffer("sender", graph.columns.long(), persistent=False)
        self.register_buffer("receiver", graph.receiver, persistent=False)
        self.register_buffer("transpose", graph.transpose, persistent=False)
        self.pattern, self.transposed = _patterns(graph)

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return self.pattern.nodes

    def attend(self, scores: Tensor, value: Tensor, heads: int) -> Tensor:
        """Attend without a tensor of normalised weights."""
        mixed: Tensor = _Attention.apply(scores, value, heads, self)  # type: ignore[no-untyped-call]
        return mixed

    def add_up(self, x: Tensor, ends: Tensor) -> Tensor:
        """Sum x [K, E] over the edges at every node -> [K, N]; `ends` is `sender` or `receiver`."""
        if x.device.type == "cuda":  # where scatter_add_ adds in whatever order the threads come
            receiving = ends is self.receiver
            pattern = self.pattern if receiving else self.transposed
            return pattern.reduced(x if receiving else x.index_select(1, self.transpose), "sum")
        sums = x.new_zeros(len(x), self.pattern.nodes)
        return sums.scatter_add_(1, ends.expand_as(x), x)


class _Attention(torch.autograd.Function):
    """Softmax over senders and weighted sum of their values.

    No tensor of normalised weights is formed.

    scores [B, N, 2H], first the heads' s, then their t, value [B, N, H x D] -> [B, N, H x D].

    With w_ij = exp(leaky_relu(s_j + t_i) - m_i) and Z_i = sum_j w_ij the output is o_i = sum_j w_ij value_j / Z_i. With
    g_i = grad_i / Z_i its gradient in value_j is sum_i w_ij g_i, and in the score of an edge
    w_ij (g_i . value_j - g_i . o_i). The two products are taken before the difference, edge by edge, so that it is 0
    where one sender has all the attention, however large the values are; their sum over edges would leave rounding.
    """

    @staticmethod
    def forward(ctx: Any, scores: Tensor, value: Tensor, heads: int, edges: Edges) -> Tensor:
        batch, nodes, _ = value.shape
        sending, receiving = scores.unflatten(2, (2, heads)).permute(2, 0, 3, 1).flatten(1, 2)  # [B x H, N]
        score = sending.index_select(1, edges.sender)
        weight = receiving.index_select(1, edges.receiver)  # overwritten in place from here on
        leaky_relu_(score.add_(weight), SLOPE)
        top = _top(score, sending, receiving, edges)
        torch.index_select(top, 1, edges.receiver, out=weight)
        torch.sub(score, weight, out=weight).exp_()
        total = edges.add_up(weight, edges.receiver)
        values = by_head(value, heads).flatten(0, 1)
        summed = edges.pattern.sums(weight, values)
        out = torch.empty_like(value)
        torch.div(
            summed.unflatten(0, (batch, heads)), total.view(batch, heads, nodes, 1), out=by_head(out, heads)
        )
        ctx.save_for_backward(score, weight, values, total, out)
        ctx.heads, ctx.edges = heads, edges
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None, None]:
        score, weight, values, total, out = ctx.saved_tensors
        heads, edges, batch = ctx.heads, ctx.edges, len(grad)
        grads = torch.empty_like(values)
        by_patient = grads.unflatten(0, (batch, heads))
        torch.div(by_head(grad, heads), total.view(batch, heads, -1, 1), out=by_patient)
        of_edge = weight.index_select(1, edges.transpose)  # written over in place, as in `forward`
        of_value = edges.transposed.sums(of_edge, grads)
        grad_dot_out = torch.linalg.vecdot(by_patient, by_head(out, heads)).flatten(0, 1)
        torch.index_select(grad_dot_out, 1, edges.receiver, out=of_edge)
        edges.pattern.products(grads, values, less=of_edge).mul_(weight)
        torch.ops.aten.leaky_relu_backward.grad_input(of_edge, score, SLOPE, True, grad_input=of_edge)
        of_scores = torch.stack([edges.add_up(of_edge, end) for end in (edges.sender, edges.receiver)])
        of_scores = of_scores.unflatten(1, (batch, heads)).permute(1, 3, 0, 2).flatten(2)
        return of_scores, of_value.unflatten(0, (batch, heads)).transpose(1, 2).flatten(2), None, None


def by_head(x: Tensor, heads: int) -> Tensor:
    """Return a view [B, H, N, D] of x [B, N, H x D]."""
    by_head: Tensor = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return by_head


def _top(score: Tensor, sending: Tensor, receiving: Tensor, edges: Edges) -> Tensor:
    """Return the numbers [B x H, N] to subtract before exp.

    They are a receiver's largest score, or a safe bound on that score.

    leaky_relu is monotone and 1-Lipschitz, so leaky_relu(max_j sending_j + receiving_i) exceeds the true maximum by
    at most the range of `sending`; below 60 that costs no precision in float32, and it needs no pass over the edges.
    Which of the two is taken is decided for every patient alone: they differ where numbers overflow, and under privacy
    no patient may change what another's gradient is.
    """
    if score.device.type == "cpu" and score.numel():
        low, high = sending.aminmax(dim=-1, keepdim=True)
        bound = leaky_relu(high + receiving, SLOPE)
        wide = ~(high - low < 60.0)  # per patient and head; also where it is no number
        if not bool(wide.any()):
            return bound
        return torch.where(wide, _largest(score, receiving, edges), bound)
    # On a GPU, to ask would be to wait for it.
    return edges.pattern.reduced(score, "max") if score.numel() else torch.full_like(receiving, -torch.inf)


def _largest(score: Tensor, receiving: Tensor, edges: Edges) -> Tensor:
    """Return a receiver's largest score [B x H, N] of the scores [B x H, E]."""
    index = edges.receiver.expand(score.shape)
    return torch.full_like(receiving, -torch.inf).scatter_reduce(-1, index, score, "amax")
