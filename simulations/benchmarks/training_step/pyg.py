"""The same network in PyG, as PyG is used and as fast as it can be made.

A patient is a `HeteroData`, a batch is PyG's `Batch` of them, layers are its `GCNConv` and `GATConv`. All that does not
depend on parameters is prepared with the data: node features, self-loops, the normalisation of the GCN.
"""

import torch
from torch import Tensor, nn
from torch.nn.functional import leaky_relu
from torch_geometric.data import Batch, HeteroData
from torch_geometric.nn import GATConv, GCNConv, SimpleConv

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.models.attention import Attention, FusionLayer
from common.models.branch import LEAK, SQUEEZED
from common.models.graphs import IDENTITY, Prior, Topology, identity
from common.patients.batch import PatientBatch
from common.tasks.task import Task


def collate(batch: PatientBatch, federation: Federation, prior: Prior) -> HeteroData:
    """Patients of a batch in PyG's form: one `HeteroData` per patient, joined by `Batch`.

    Node types: `patient` (one node; x: the demographic features, present: [1, modalities]), one per modality (x:
    [N, 2 + IDENTITY], value, observed, and value times the node's identity code), and `MODALITY pathway`. A modality
    that a patient lacks has no nodes.
    """
    return Batch.from_data_list(
        [_patient(batch, patient, federation, prior) for patient in range(len(batch))]
    )


def _patient(batch: PatientBatch, patient: int, federation: Federation, prior: Prior) -> HeteroData:
    graph = HeteroData()
    graph["patient"].x = _demographics(batch, patient, federation)
    graph["patient"].present = torch.stack(
        [batch.observed[modality.name][patient].any() for modality in federation.modalities]
    )[None]
    for modality in federation.modalities:
        name, observed = modality.name, batch.observed[modality.name][patient]
        here = bool(observed.any())
        seen = observed.float()[:, None]
        value = batch.values[name][patient][:, None] * seen
        x = torch.cat([value, seen, value * identity(modality.nodes)], dim=1)
        graph[name].x = x if here else x[:0]
        _add_edges(graph, name, "prior", prior.topology[name], here)
        if name in prior.membership:
            pathway, members = f"{name} pathway", prior.membership[name]
            graph[pathway].num_nodes = len(members.pathways) * here
            links = members.matrix.to_sparse_coo().coalesce().indices().flip(0)
            graph[name, "member of", pathway].edge_index = links if here else links[:, :0]
            _add_edges(graph, pathway, "hierarchy", prior.hierarchy[name], here)
    return graph


def _demographics(batch: PatientBatch, patient: int, federation: Federation) -> Tensor:
    """[1, 2 x demographic features + 1]."""
    constant = torch.ones(1)
    clinical = next(
        (modality.name for modality in federation.modalities if modality.node == "clinical"), None
    )
    if clinical is None:
        return constant[None]
    observed = batch.observed[clinical][patient].float()
    return torch.cat([batch.values[clinical][patient] * observed, observed, constant])[None]


def _add_edges(graph: HeteroData, name: str, kind: str, topology: Topology, here: bool) -> None:
    index, weight = topology.edge_index, topology.gcn_weight
    graph[name, kind, name].edge_index = index if here else index[:, :0]
    graph[name, kind, name].edge_weight = weight if here else weight[:0]


class GraphAttention(nn.Module):
    """PyG's `GATConv` on edges that include self-loops, and the projection of its heads."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.attend = GATConv(width, width // heads, heads=heads, add_self_loops=False, bias=False)
        self.out = nn.Linear(width, width)

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        """Node features [nodes, width] -> [nodes, width]."""
        out: Tensor = self.out(self.attend(x, edge_index))
        return out


class ReferenceGraphStack(nn.Module):
    """GCN layers, then GAT layers, each with residual, ReLU and LayerNorm."""

    def __init__(self, width: int, gcn: int, gat: int, heads: int) -> None:
        super().__init__()
        layers: list[GCNConv | GraphAttention] = [
            GCNConv(width, width, normalize=False, add_self_loops=False) for _ in range(gcn)
        ]
        layers += [GraphAttention(width, heads) for _ in range(gat)]
        self.layers = nn.ModuleList(layers)
        self.norms = nn.ModuleList(nn.LayerNorm(width) for _ in layers)

    def forward(self, x: Tensor, edge_index: Tensor, edge_weight: Tensor) -> Tensor:
        """Node features [nodes of all patients, width], mixed along the edges."""
        for layer, norm in zip(self.layers, self.norms, strict=True):
            along = (edge_index,) if isinstance(layer, GraphAttention) else (edge_index, edge_weight)
            x = norm(x + leaky_relu(layer(x, *along), LEAK))
        return x


class PygBranch(nn.Module):
    """Branch of one modality: node graph -> pathways and their graph -> token [P, width].

    P patients have the modality.
    """

    def __init__(
        self,
        modality: Modality,
        prior: Prior,
        tasks: tuple[Task, ...],
        config: HierarchicalConfig,
        fits_scores: bool = True,
    ) -> None:
        super().__init__()
        self.name = modality.name
        graph, members = prior.topology[modality.name], prior.membership.get(modality.name)
        width, heads = config.node_width, config.node_heads
        self.nodes = graph.nodes
        self.embed = nn.Linear(2 + IDENTITY, width)
        self.graph = None
        if not graph.edgeless:
            self.graph = ReferenceGraphStack(width, config.gcn_layers, config.gat_layers, heads)
        self.pathways, summarised = 0, graph.nodes
        if members is not None:
            self.pathways = summarised = len(members.pathways)
            self.pool = SimpleConv(aggr="mean")
            self.widen = nn.Linear(width, config.pathway_width)
            width = config.pathway_width
            self.pathway_graph = None
            if not prior.hierarchy[modality.name].edgeless:
                self.pathway_graph = ReferenceGraphStack(width, 0, config.pathway_gat_layers, heads)
        self.squeeze = nn.Linear(width, SQUEEZED)
        self.token = nn.Linear(SQUEEZED * summarised, config.width)
        self.direct = nn.Linear(graph.nodes, config.width)
        self.norm = nn.LayerNorm(config.width)
        self.score_scale = modality.score_scale if fits_scores else graph.nodes**-0.5
        self.scores = nn.ModuleDict(
            {task.name: nn.Linear(graph.nodes, task.score_width, bias=False) for task in tasks}
        )

    def forward(self, batch: HeteroData) -> tuple[Tensor, dict[str, Tensor]]:
        """Token [P, width] and task -> additive score [P, 1 or outputs].

        P patients have the modality.
        """
        values = batch[self.name].x[:, 0].view(-1, self.nodes)
        edges = batch[self.name, "prior", self.name]
        x = leaky_relu(self.embed(batch[self.name].x), LEAK)
        if self.graph is not None:
            x = self.graph(x, edges.edge_index, edges.edge_weight)
        if self.pathways:
            pathway = f"{self.name} pathway"
            links = batch[self.name, "member of", pathway].edge_index
            size = (len(x), len(values) * self.pathways)
            x = leaky_relu(self.widen(self.pool((x, x.new_empty(size[1], 0)), links, size=size)), LEAK)
            ladder = batch[pathway, "hierarchy", pathway]
            if self.pathway_graph is not None:
                x = self.pathway_graph(x, ladder.edge_index, ladder.edge_weight)
        summary = self.squeeze(x).view(len(values), -1)
        token = self.norm(self.token(summary) + self.direct(values * self.nodes**-0.5))
        inputs = values * self.score_scale
        return token, {name: score(inputs) for name, score in self.scores.items()}


class PygNetwork(nn.Module):
    """`HierarchicalMultimodalGNN` without dropout, on a PyG batch."""

    def __init__(self, federation: Federation, prior: Prior) -> None:
        super().__init__()
        config, tasks = HierarchicalConfig.of(federation.model), federation.tasks
        nodes_of = {modality.node: len(modality.nodes) for modality in reversed(federation.modalities)}
        self.patient = nn.Linear(2 * nodes_of.get("clinical", 0) + 1, config.width)
        self.branches = nn.ModuleDict(
            {
                modality.name: PygBranch(modality, prior, tasks, config, federation.privacy is None)
                for modality in federation.modalities
            }
        )
        self.cross = Attention(config.width, config.heads)
        self.cross_norm = nn.LayerNorm(config.width)
        self.fusion = nn.ModuleList(
            FusionLayer(config.width, config.heads, config.dropout) for _ in range(config.fusion_layers)
        )
        self.heads = nn.ModuleDict({task.name: nn.Linear(config.width, task.outputs) for task in tasks})
        self.fused_scale = 1.0 if federation.privacy is None else config.width**-0.5

    def forward(self, batch: HeteroData) -> dict[str, Tensor]:
        """Task -> logits [B, outputs]."""
        patient, present = self.patient(batch["patient"].x), batch["patient"].present
        tokens, scores = [patient], {name: patient.new_zeros(len(patient), 1) for name in self.heads}
        for (name, branch), here in zip(self.branches.items(), present.unbind(1), strict=True):
            if not len(batch[name].x):
                tokens.append(torch.zeros_like(patient))
                continue
            token, additive = branch(batch)
            rows = here.nonzero().squeeze(1)
            tokens.append(torch.zeros_like(patient).index_copy(0, rows, token))
            for task, score in additive.items():
                spread = score.new_zeros(len(patient), score.shape[1]).index_copy(0, rows, score)
                scores[task] = scores[task] + spread
        sequence = torch.stack(tokens, dim=1)
        mask = torch.cat([present.new_ones(len(present), 1), present], dim=1)
        attended = self.cross_norm(patient[:, None] + self.cross(patient[:, None], sequence, mask))
        sequence = torch.cat([attended, sequence[:, 1:]], dim=1)
        for layer in self.fusion:
            sequence = layer(sequence, mask)
        fused = sequence[:, 0] * self.fused_scale
        return {name: head(fused) + scores[name] for name, head in self.heads.items()}
