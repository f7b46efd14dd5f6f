"""Branch of a modality: node values to a token by graph and pathways, and linear scores."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import dropout, leaky_relu, pad

from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.models.graphs import IDENTITY, Membership, Topology, identity, topology
from common.models.layer_kinds import layer_between_nodes
from common.models.layers import Pathways
from common.models.parts import AlongEdges
from common.models.shared import PartialModule
from common.records import moved
from common.tasks.task import Task

NUMBERS_AT_ONCE = 400_000
"""Numbers of all nodes in a slot, 1.6 MB, from which on larger slots are no quicker."""


SQUEEZED = 2
"""Numbers per node or pathway that reach the modality token."""

LEAK = 0.1
"""Slope of activations below 0: a unit that is below 0 for every patient goes on learning."""


class GraphStack(AlongEdges):
    """Layers between nodes: [B, N, width] -> [B, N, width].

    Every layer has a residual, a leaky ReLU and a LayerNorm.

    Args:
        graph: N nodes.
        width: features of a node.
        kinds: names of the layers in their order (`common.models.layer_kinds`).
        heads: of layers with attention.
    """

    def __init__(self, graph: Topology, width: int, kinds: Sequence[str], heads: int) -> None:
        super().__init__()
        self.nodes, self.width, self.kinds, self.heads = graph.nodes, width, tuple(kinds), heads
        self.layers = nn.ModuleList(layer_between_nodes(kind, graph, width, width, heads) for kind in kinds)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in kinds)

    def forward(self, x: Tensor) -> Tensor:
        """Mix node features [B, N, width] along the graph."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            x = norm(x + leaky_relu(layer(x), LEAK))
        return x

    def edgeless(self) -> "GraphStack | None":
        """Return a stack with the same weights over the same nodes without edges between them."""
        with torch.random.fork_rng(devices=[]):
            bare = GraphStack(topology(self.nodes, ()), self.width, self.kinds, self.heads)
        weights, others = self.state_dict(), bare.state_dict()
        if {name: weight.shape for name, weight in weights.items()} != {
            name: weight.shape for name, weight in others.items()
        }:
            return None
        bare.load_state_dict(weights)
        some = next(self.parameters())
        return bare.to(some.device, some.dtype).train(self.training)


def _stack(graph: Topology, width: int, kinds: Sequence[str], heads: int) -> nn.Module:
    """Return layers along the edges, or the identity without edges.

    Imaging features, for example, have no edges.
    """
    return nn.Identity() if graph.edgeless else GraphStack(graph, width, kinds, heads)


class Branch(PartialModule):
    """Branch of a modality: node values -> graph -> pathways -> token [B, width].

    A node enters as its value, whether it is observed, and its value times the node's fixed identity code. Beside
    the graph, linear maps of the values reach the token, and every task's logits as an additive score: a linear
    model is what a small cohort supports first, and the graph adds to it. Inputs of these maps are scaled by
    1 / sqrt(N), so that a step of Adam moves a score alike for 30 features and for 1,500. Without privacy the inputs
    of the scores are scaled by the modality's strength besides (`Modality.score_scale`), and beside the values they
    read what is observed at all (`Modality.flags`): who was measured is no accident.

    What becomes of a pathway or node on its way to the token stays linear: it is two numbers of it, which an
    activation would cut off for most patients alike.
    """

    def __init__(
        self,
        modality: Modality,
        graph: Topology,
        members: Membership | None,
        ladder: Topology | None,
        tasks: tuple[Task, ...],
        config: HierarchicalConfig,
        fits_scores: bool,
    ) -> None:
        super().__init__()
        self.worthwhile = max(1, NUMBERS_AT_ONCE // (graph.nodes * config.node_width))
        self.node_dropout = config.node_dropout
        self.embed = nn.Linear(2 + IDENTITY, config.node_width)
        # By columns autograd takes the weight's gradient as x^T g, for so few inputs a product eight times as fast.
        self.embed.weight.data = self.embed.weight.data.t().contiguous().t()
        self.graph = _stack(graph, config.node_width, config.node_layers, config.node_heads)
        summarised, width = graph.nodes, config.node_width
        self.pathways: Pathways | None = None
        if members is not None and ladder is not None:
            self.pathways = Pathways(members)
            self.widen = nn.Linear(width, config.pathway_width)
            self.pathway_graph = _stack(
                ladder, config.pathway_width, config.pathway_layers, config.node_heads
            )
            summarised, width = len(members.pathways), config.pathway_width
        self.squeeze = nn.Linear(width, SQUEEZED)
        self.token = nn.Linear(SQUEEZED * summarised, config.width)
        self.direct = nn.Linear(graph.nodes, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.score_scale = modality.score_scale if fits_scores else graph.nodes**-0.5
        self.flags, self.flag_scale = modality.flags if fits_scores else 0, modality.flag_scale
        self.flag_per_node = modality.node_kind.describes_patient
        inputs = graph.nodes + self.flags
        self.scores = nn.ModuleDict({task.name: _untrained(inputs, task.score_width) for task in tasks})
        self.codes = _Codes(identity(modality.nodes))

    @property
    def network(self) -> list[nn.Parameter]:
        """Parameters of the way to the token, without the additive scores."""
        scores = set(self.scores.parameters())
        return [parameter for parameter in self.parameters() if parameter not in scores]

    @property
    def stacks(self) -> list[GraphStack]:
        """Layers along edges, between nodes and between pathways."""
        stacks = (self.graph, getattr(self, "pathway_graph", None))
        return [stack for stack in stacks if isinstance(stack, GraphStack) and len(stack.layers)]

    def forward(self, values: Tensor, observed: Tensor, here: Tensor) -> Tensor:
        """Compute the token [B, width] from values [B, N].

        It is 0 for the patients that are not `here` [B] bool; unless `dense`, nothing is computed for them. `here` is
        on the CPU: which rows there are is no question to ask a GPU, which would have to finish first.
        """
        self.rows = None
        if self.dense:
            return self._present(values, observed) * moved(here[:, None], values.device)
        parts = [moved(rows, values.device) for rows in self._parts(here)]
        if not parts:
            return values.new_zeros(len(here), self.token.out_features)
        if self.slot:  # a last row for nobody
            values, observed = pad(values, (0, 0, 0, 1)), pad(observed, (0, 0, 0, 1))
        tokens = []
        for self.rows in parts:
            tokens.append(self._present(values[self.rows], observed[self.rows]))
        self.rows = None
        return _spread(tokens, torch.cat(parts), here)

    def additive(self, values: Tensor, observed: Tensor) -> dict[str, Tensor]:
        """Compute scores by task [B, 1 or outputs] from values [B, N]; 0 where all is missing."""
        inputs = values * observed * self.score_scale
        if self.flags:
            here = observed.any(1, keepdim=True)
            flags = here & ~observed if self.flag_per_node else here
            inputs = torch.cat([inputs, flags.to(inputs.dtype) * self.flag_scale], dim=1)
        return {name: score(inputs) for name, score in self.scores.items()}

    def _parts(self, here: Tensor) -> Sequence[Tensor]:
        """Return indices of the patients who are computed together: all, or a slot of them."""
        rows = here.nonzero().squeeze(1)
        if self.slot:
            rows = pad(rows, (0, -len(rows) % self.slot), value=len(here))
        return rows.split(self.slot or len(rows)) if len(rows) else ()

    def _present(self, values: Tensor, observed: Tensor) -> Tensor:
        seen = dropout(observed.float(), self.node_dropout, self.training)
        values = values * seen
        x = torch.cat([values[..., None], seen[..., None], values[..., None] * self.codes.codes], dim=-1)
        x = self.graph(leaky_relu(self.embed(x), LEAK))
        if self.pathways is not None:
            x = self.pathway_graph(leaky_relu(self.widen(self.pathways(x)), LEAK))
        squeezed = self.squeeze(x).flatten(1)
        direct = self.direct(values * values.shape[1] ** -0.5)
        token: Tensor = self.norm(self.token(squeezed) + direct)
        return token


def _spread(present: Sequence[Tensor], rows: Tensor, here: Tensor) -> Tensor:
    """Spread features [R, F] of the patients at `rows` over the batch [B, F], 0 for others."""
    features = torch.cat(list(present))
    spread = features.new_zeros(len(here) + 1, features.shape[1])  # a last row for nobody
    return spread.index_copy(0, rows, features)[:-1]


def _untrained(inputs: int, outputs: int) -> nn.Linear:
    """Return a linear map that starts at 0."""
    layer = nn.Linear(inputs, outputs, bias=False)
    nn.init.zeros_(layer.weight)
    return layer


class _Codes(nn.Module):
    """Identity codes [N, IDENTITY], moved with the model and no part of its state."""

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes, persistent=False)
