"""Prior knowledge as graphs: a topology per modality, shared by all patients.

Patients differ in node values only, so a batch is `[patients, nodes, features]` over one sparse structure.
"""

import hashlib
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.prior_graph import PublicFile

warnings.filterwarnings("ignore", "Sparse CSR tensor support", UserWarning)


IDENTITY = 8
"""Length of a node's fixed identity code."""


@dataclass(frozen=True)
class Topology:
    """Directed graph over N nodes in CSR form, every node with a self-loop.

    A row is a receiving node.

    Attributes:
        rows: [N + 1] int32 row pointers.
        columns: [E] int32 sending node of each edge.
        receiver: [E] int64 receiving node of each edge.
        transpose: [E] int64, order of the edges by (sender, receiver); `transposed_rows` and
            `transposed_columns` are the CSR form of the reversed graph in that order.
        gcn_weight: [E] float32, 1 / sqrt(degree_i * degree_j) (Kipf & Welling 2017).
    """

    rows: Tensor
    columns: Tensor
    receiver: Tensor
    transpose: Tensor
    transposed_rows: Tensor
    transposed_columns: Tensor
    gcn_weight: Tensor

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.rows) - 1

    @property
    def edgeless(self) -> bool:
        """Whether every node has its self-loop alone."""
        return len(self.columns) == self.nodes

    @property
    def edge_index(self) -> Tensor:
        """[2, E] long, (sender, receiver), as PyG writes it."""
        return torch.stack([self.columns.long(), self.receiver])


@dataclass(frozen=True)
class Membership:
    """Membership of N nodes in P pathways, as a row-normalised CSR matrix [P, N].

    Attributes:
        pathways: names of the P pathways.
        matrix: [P, N] sparse CSR float32, each row sums to 1.
        transposed: [N, P], its transpose.
    """

    pathways: tuple[str, ...]
    matrix: Tensor
    transposed: Tensor


@dataclass(frozen=True)
class Prior:
    """Graphs and pathways of a federation, by modality.

    Gene and protein modalities may have pathways.
    """

    topology: dict[str, Topology]
    membership: dict[str, Membership]
    hierarchy: dict[str, Topology]


def topology(nodes: int, pairs: Iterable[tuple[int, int]]) -> Topology:
    """Return the undirected graph with these edges, plus self-loops.

    An edge may be given in one or both directions.
    """
    edges = {(i, j) for a, b in pairs for i, j in ((a, b), (b, a))} | {(i, i) for i in range(nodes)}
    receiver, sender = (torch.tensor(side) for side in zip(*sorted(edges), strict=True))
    degree = torch.bincount(receiver, minlength=nodes).float()
    transpose = torch.argsort(sender * nodes + receiver)

    def pointers(index: Tensor) -> Tensor:
        counts = torch.bincount(index, minlength=nodes)
        return torch.cat([torch.zeros(1, dtype=torch.long), counts.cumsum(0)]).int()

    return Topology(
        rows=pointers(receiver),
        columns=sender.int(),
        receiver=receiver,
        transpose=transpose,
        transposed_rows=pointers(sender),
        transposed_columns=receiver[transpose].int(),
        gcn_weight=(degree[receiver] * degree[sender]).rsqrt(),
    )


def membership(names: Sequence[str], pairs: Iterable[tuple[str, str]]) -> Membership | None:
    """Return pathway membership of nodes from (pathway, node) pairs; None if it is empty."""
    index = {name: number for number, name in enumerate(names)}
    members = sorted({(pathway, index[node]) for pathway, node in pairs if node in index})
    if not members:
        return None
    pathways = tuple(sorted({pathway for pathway, _ in members}))
    row = torch.tensor([pathways.index(pathway) for pathway, _ in members])
    column = torch.tensor([node for _, node in members])
    share = 1.0 / torch.bincount(row).float()[row]
    with torch.sparse.check_sparse_tensor_invariants(False):
        matrix = torch.sparse_coo_tensor(torch.stack([row, column]), share, (len(pathways), len(names)))
        return Membership(pathways, matrix.to_sparse_csr(), matrix.t().to_sparse_csr())


def identity(names: Sequence[str]) -> Tensor:
    """Return a fixed code of +1 and -1 per node name, [N, IDENTITY] float32.

    It is the same at every site.

    Multiplied with a node's value it lets one shared linear layer treat genes differently (random projection,
    Achlioptas 2003) without a table of parameters per gene.
    """
    digests = [hashlib.sha256(name.encode()).digest()[:IDENTITY] for name in names]
    return torch.tensor([[1.0 if byte & 1 else -1.0 for byte in digest] for digest in digests])


def load_prior(federation: Federation, folder: Path) -> Prior:
    """Read the federation's public files, beside its file in `folder`, into shared structure.

    Nodes without prior edges keep their self-loop; clinical nodes, few and unordered, are fully connected.
    """
    import pandas as pd  # a hospital that has kept its graphs is spared its import

    def pairs(file: PublicFile | None) -> list[tuple[str, str]]:
        if file is None:
            return []
        table = pd.read_csv(folder / file.path, dtype=str, keep_default_na=False)
        return list(zip(table.iloc[:, 0], table.iloc[:, 1], strict=True))

    prior = federation.prior
    edges = pairs(prior.edges)
    pathways = pairs(prior.pathways)
    ladder = pairs(prior.hierarchy)
    result = Prior({}, {}, {})
    for modality in federation.modalities:
        result.topology[modality.name] = _node_topology(modality, edges)
        members = membership(modality.nodes, pathways) if modality.node_kind.has_pathways else None
        if members is not None:
            result.membership[modality.name] = members
            result.hierarchy[modality.name] = topology(
                len(members.pathways), _located(members.pathways, ladder)
            )
    return result


def _node_topology(modality: Modality, edges: list[tuple[str, str]]) -> Topology:
    count = len(modality.nodes)
    match modality.node_kind.edges:
        case "all":
            return topology(count, ((i, j) for i in range(count) for j in range(i)))
        case "none":
            return topology(count, ())
        case "prior":
            return topology(count, _located(modality.nodes, edges))


def _located(names: Sequence[str], pairs: list[tuple[str, str]]) -> list[tuple[int, int]]:
    index = {name: number for number, name in enumerate(names)}
    return [(index[a], index[b]) for a, b in pairs if a in index and b in index]
