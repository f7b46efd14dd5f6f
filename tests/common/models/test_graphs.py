from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.models.graphs import Prior, Topology, identity, load_prior, membership, topology
from common.patients.batch import PatientBatch
from tests.common.patient_graph import patient_graph

EDGES = [(0, 1), (1, 2), (1, 0), (3, 3), (0, 1)]
ADJACENCY = torch.tensor(
    [
        [1, 1, 0, 0, 0],
        [1, 1, 1, 0, 0],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [0, 0, 0, 0, 1],
    ]
)


def dense(rows: Tensor, columns: Tensor, values: Tensor) -> Tensor:
    """A CSR matrix written out."""
    nodes = len(rows) - 1
    return torch.sparse_csr_tensor(rows, columns, values, size=(nodes, nodes)).to_dense()


def adjacency(graph: Topology) -> Tensor:
    return dense(graph.rows, graph.columns, torch.ones(len(graph.columns), dtype=torch.long))


def test_topology_is_the_adjacency_drawn_by_hand() -> None:
    graph = topology(5, EDGES)
    assert torch.equal(adjacency(graph), ADJACENCY)
    assert graph.nodes == 5
    assert {(int(a), int(b)) for a, b in graph.edge_index.t()} == {
        (int(a), int(b)) for a, b in ADJACENCY.nonzero()
    }


def test_duplicate_reversed_and_self_edges_change_nothing() -> None:
    once, often = topology(5, [(0, 1), (1, 2)]), topology(5, EDGES)
    for name in ("rows", "columns", "receiver", "transpose", "gcn_weight"):
        assert torch.equal(getattr(once, name), getattr(often, name))


@given(st.lists(st.tuples(st.integers(0, 8), st.integers(0, 8)), max_size=20))
@settings(deadline=None, max_examples=30)
def test_the_reversed_graph_holds_the_same_weights(pairs: list[tuple[int, int]]) -> None:
    graph = topology(9, pairs)
    weight = torch.arange(1.0, len(graph.columns) + 1)
    forward = dense(graph.rows, graph.columns, weight)
    backward = dense(graph.transposed_rows, graph.transposed_columns, weight[graph.transpose])
    assert torch.equal(backward, forward.t())
    assert torch.equal(forward > 0, forward.t() > 0)


def test_gcn_weight_equals_pyg() -> None:
    graph = topology(5, EDGES)
    _, expected = gcn_norm(graph.edge_index, num_nodes=5, add_self_loops=False)
    torch.testing.assert_close(graph.gcn_weight, expected)


def test_membership_averages_known_members_once() -> None:
    pairs = [("q", "b"), ("p", "a"), ("p", "c"), ("p", "a"), ("p", "unknown"), ("none of ours", "unknown")]
    members = membership(("a", "b", "c"), pairs)
    assert members is not None
    assert members.pathways == ("p", "q")
    expected = torch.tensor([[0.5, 0.0, 0.5], [0.0, 1.0, 0.0]])
    assert torch.equal(members.matrix.to_dense(), expected)
    assert torch.equal(members.transposed.to_dense(), expected.t())
    assert membership(("a",), [("p", "unknown")]) is None


def test_identity_codes_are_the_same_for_ever() -> None:
    """A code that changed would silently break every trained model."""
    assert identity(["TP53", "sex=f"]).tolist() == [
        [-1, 1, 1, 1, 1, 1, -1, 1],
        [-1, -1, 1, 1, 1, 1, 1, -1],
    ]


def test_identity_codes_tell_genes_apart_and_follow_the_name() -> None:
    names = [f"GENE{number}" for number in range(200)]
    codes = identity(names)
    assert torch.equal(identity(names[::-1]), codes.flip(0))
    assert codes.abs().eq(1).all()
    assert abs(float(codes.mean())) < 0.1
    assert len(codes.unique(dim=0)) > 100


@pytest.fixture
def with_files(make_federation: Callable[..., Federation], tmp_path: Path) -> Federation:
    """Prior files that also speak of genes, proteins and pathways this federation does not have."""
    tables = {
        "edges": [
            ("GENE0", "GENE1"),
            ("GENE1", "GENE0"),
            ("GENE2", "GENE2"),
            ("GENE3", "BRCA2"),
            ("P1", "P3"),
        ],
        "pathways": [
            ("alpha", "GENE0"),
            ("alpha", "BRCA2"),
            ("beta", "GENE5"),
            ("gamma", "BRCA2"),
            ("alpha", "P2"),
        ],
        "hierarchy": [("alpha", "beta"), ("root", "alpha"), ("gamma", "beta")],
    }
    for name, pairs in tables.items():
        pd.DataFrame(pairs, columns=["a", "b"]).to_csv(tmp_path / f"{name}.csv", index=False)
    files = {name: PublicFile.of(tmp_path, f"{name}.csv") for name in tables}
    return make_federation(prior=PriorGraph(**files))


def test_prior_files_become_graphs_and_unknown_names_are_ignored(
    with_files: Federation, tmp_path: Path
) -> None:
    prior = load_prior(with_files, tmp_path)
    off_diagonal = {
        name: {(int(a), int(b)) for a, b in graph.edge_index.t() if a < b}
        for name, graph in prior.topology.items()
    }
    assert off_diagonal == {
        "clinical": {(0, 1), (0, 2), (1, 2)},
        "rna": {(0, 1)},
        "protein": {(0, 2)},
        "imaging": set(),
    }
    assert {name: members.pathways for name, members in prior.membership.items()} == {
        "rna": ("alpha", "beta"),
        "protein": ("alpha",),
    }
    assert adjacency(prior.hierarchy["rna"]).tolist() == [[1, 1], [1, 1]]
    assert prior.hierarchy["protein"].nodes == 1


def test_without_prior_files_every_gene_stands_alone(federation: Federation, tmp_path: Path) -> None:
    prior = load_prior(federation, tmp_path)
    assert torch.equal(adjacency(prior.topology["rna"]), torch.eye(12, dtype=torch.long))
    assert not prior.membership
    assert not prior.hierarchy


def test_a_gene_named_na_is_a_gene(make_federation: Callable[..., Federation], tmp_path: Path) -> None:
    (tmp_path / "edges.csv").write_text("a,b\nNA,nan\n")
    federation = make_federation(
        modalities=(Modality(name="rna", node="gene", columns=("NA", "nan")),),
        prior=PriorGraph(edges=PublicFile.of(tmp_path, "edges.csv")),
    )
    assert adjacency(load_prior(federation, tmp_path).topology["rna"]).all()


@pytest.fixture
def two_patients(federation: Federation) -> PatientBatch:
    """The first has everything but three genes; the second has RNA only."""
    shapes = {modality.name: (2, len(modality.nodes)) for modality in federation.modalities}
    observed = {name: torch.ones(shape, dtype=torch.bool) for name, shape in shapes.items()}
    observed["rna"][0, :3] = False
    for name in ("clinical", "protein", "imaging"):
        observed[name][1] = False
    values = {name: torch.randn(shape) * observed[name] for name, shape in shapes.items()}
    return PatientBatch(values, observed, {}, {})


def test_a_patient_as_hetero_data(two_patients: PatientBatch, federation: Federation, prior: Prior) -> None:
    graph = patient_graph(two_patients, 0, federation, prior)
    graph.validate()
    nodes = {kind: graph[kind].num_nodes for kind in graph.node_types}
    assert nodes == {
        "patient": 1,
        "clinical": 3,
        "rna": 12,
        "rna pathway": 2,
        "protein": 3,
        "imaging": 4,
    }
    edges = {kind: graph[kind].edge_index.shape[1] for kind in graph.edge_types}
    assert edges == {
        ("clinical", "prior", "clinical"): 3 + 2 * 3,
        ("clinical", "of", "patient"): 3,
        ("rna", "prior", "rna"): 12 + 2 * 7,
        ("rna", "of", "patient"): 12 - 3,
        ("rna", "member of", "rna pathway"): 5 + 5,
        ("protein", "prior", "protein"): 3 + 2,
        ("protein", "of", "patient"): 3,
        ("imaging", "prior", "imaging"): 4,
        ("imaging", "of", "patient"): 4,
    }
    assert torch.equal(graph["rna"].x[:, 0], two_patients.values["rna"][0])
    assert graph["rna"].x[:, 1].tolist() == [0.0] * 3 + [1.0] * 9
    assert graph["rna", "of", "patient"].edge_index[0].tolist() == list(range(3, 12))
    members = graph["rna", "member of", "rna pathway"].edge_index
    assert {int(gene) for gene, pathway in members.t() if pathway == 1} == {4, 5, 6, 7, 8}


def test_an_absent_modality_has_no_nodes(
    two_patients: PatientBatch, federation: Federation, prior: Prior
) -> None:
    graph = patient_graph(two_patients, 1, federation, prior)
    assert set(graph.node_types) == {"patient", "rna", "rna pathway"}
    assert {source for source, _, _ in graph.edge_types} == {"rna"}
