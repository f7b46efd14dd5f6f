from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch_geometric.nn import GATConv, GCNConv

from common.agreement.federation import Federation
from common.models.graphs import Prior, Topology, membership, topology
from common.models.layers import GAT, GCN, Pathways, Pattern, _Attention
from common.patients.batch import PatientBatch
from tests.common.patient_graph import patient_graph

NODES, INPUTS, OUTPUTS, HEADS = 40, 6, 8, 2


@pytest.fixture
def graph() -> Topology:
    draw = torch.Generator().manual_seed(1)
    pairs = torch.randint(NODES - 5, (90, 2), generator=draw)  # five nodes stay without a neighbour
    return topology(NODES, ((int(a), int(b)) for a, b in pairs if a != b))


def as_pyg(layer: GAT) -> GATConv:
    """PyG's GATConv with the same weights: its scores are linear in W x, ours in x."""
    inputs, width = layer.value.in_features, OUTPUTS // HEADS
    reference = GATConv(inputs, width, heads=HEADS, add_self_loops=False, bias=False).double()
    with torch.no_grad():
        reference.lin.weight.copy_(layer.value.weight)
        per_head = layer.value.weight.view(HEADS, width, inputs)
        layer.score.weight[:HEADS] = torch.einsum("hd,hdf->hf", reference.att_src[0], per_head)
        layer.score.weight[HEADS:] = torch.einsum("hd,hdf->hf", reference.att_dst[0], per_head)
    return reference


def gradients(output: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    weight = torch.linspace(-1, 1, output.numel(), dtype=output.dtype).view_as(output)
    return torch.autograd.grad((output * weight).sum(), inputs)


def test_gcn_equals_pyg(graph: Topology) -> None:
    layer = GCN(graph, INPUTS, OUTPUTS)
    reference = GCNConv(INPUTS, OUTPUTS, add_self_loops=False)
    with torch.no_grad():
        reference.lin.weight.copy_(layer.linear.weight)
        reference.bias.copy_(layer.linear.bias)
    x = torch.randn(3, NODES, INPUTS, requires_grad=True)
    ours, theirs = layer(x), reference(x, graph.edge_index)
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(gradients(ours, x), gradients(theirs, x), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("scale", [1.0, 30.0, 100.0, 1000.0])
def test_gat_equals_pyg_at_any_scale_of_the_scores(graph: Topology, scale: float) -> None:
    layer = GAT(graph, INPUTS, OUTPUTS, HEADS).double()
    reference = as_pyg(layer)
    with torch.no_grad():
        layer.score.weight *= scale
        reference.att_src *= scale
        reference.att_dst *= scale
    x = torch.randn(3, NODES, INPUTS, dtype=torch.float64, requires_grad=True)
    ours = layer.attend(x)
    theirs = torch.stack([reference(patient, graph.edge_index) for patient in x])
    torch.testing.assert_close(ours, theirs, atol=1e-10, rtol=1e-10)
    torch.testing.assert_close(gradients(ours, x), gradients(theirs, x), atol=1e-9, rtol=1e-9)


def test_both_equal_pyg_on_the_hetero_data_of_a_patient(
    make_batch: Callable[..., PatientBatch], federation: Federation, prior: Prior
) -> None:
    """The layers on a batch with the shared topology, PyG's on one patient's own graph."""
    batch, seen = make_batch(4), set()
    for name, observed in batch.observed.items():
        x = torch.stack([batch.values[name], observed.float()], dim=-1)
        gcn, gat = (
            GCN(prior.topology[name], 2, OUTPUTS),
            GAT(prior.topology[name], 2, OUTPUTS, HEADS).double(),
        )
        pyg_gcn, pyg_gat = GCNConv(2, OUTPUTS, add_self_loops=False), as_pyg(gat)
        with torch.no_grad():
            pyg_gcn.lin.weight.copy_(gcn.linear.weight)
            pyg_gcn.bias.copy_(gcn.linear.bias.normal_())
        mixed, attended = gcn(x), gat.attend(x.double())
        for patient in range(len(batch)):
            graph = patient_graph(batch, patient, federation, prior)
            if name not in graph.node_types:
                continue
            seen.add(name)
            nodes, edges = graph[name].x, graph[name, "prior", name].edge_index
            torch.testing.assert_close(mixed[patient], pyg_gcn(nodes, edges), atol=1e-6, rtol=1e-5)
            torch.testing.assert_close(
                attended[patient], pyg_gat(nodes.double(), edges), atol=1e-12, rtol=1e-10
            )
    assert seen == {modality.name for modality in federation.modalities}


@pytest.mark.parametrize("scale", [1.0, 30.0, 100.0, 1000.0])
def test_gat_in_single_precision_is_close_to_double(graph: Topology, scale: float) -> None:
    layer = GAT(graph, INPUTS, OUTPUTS, HEADS)
    with torch.no_grad():
        layer.score.weight *= scale
    x = torch.randn(3, NODES, INPUTS)
    # Scores are exact in both: single-precision products are taken first, so that only the softmax is compared.
    with torch.no_grad():
        layer.score.weight.copy_(layer.score.weight.round(decimals=2))
        x = x.round(decimals=1)
    single = layer.attend(x).detach()
    double = layer.double().attend(x.double()).detach()
    assert (single - double).abs().max() < 1e-3 * max(1.0, scale / 100)


def test_gat_gradient_by_finite_differences() -> None:
    layer = GAT(topology(5, [(0, 1), (1, 2), (0, 3)]), INPUTS, 4, HEADS).double()
    x = torch.randn(2, 5, INPUTS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(layer.attend, (x,), eps=1e-6, atol=1e-6, nondet_tol=1e-12)


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_permuted_patients_give_permuted_outputs(graph: Topology, kind: str) -> None:
    layer = GCN(graph, INPUTS, OUTPUTS) if kind == "gcn" else GAT(graph, INPUTS, OUTPUTS, HEADS)
    x, order = torch.randn(5, NODES, INPUTS), torch.tensor([3, 0, 4, 1, 2])
    torch.testing.assert_close(layer(x)[order], layer(x[order]))


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_renumbered_nodes_give_renumbered_outputs(graph: Topology, kind: str) -> None:
    order = torch.randperm(NODES)
    place = torch.argsort(order)
    renumbered = topology(NODES, ((int(place[a]), int(place[b])) for a, b in graph.edge_index.t()))
    first = GCN(graph, INPUTS, OUTPUTS) if kind == "gcn" else GAT(graph, INPUTS, OUTPUTS, HEADS)
    second = GCN(renumbered, INPUTS, OUTPUTS) if kind == "gcn" else GAT(renumbered, INPUTS, OUTPUTS, HEADS)
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, NODES, INPUTS)
    torch.testing.assert_close(first(x)[:, order], second(x[:, order]), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_an_empty_batch_passes_through(graph: Topology, kind: str) -> None:
    layer = GCN(graph, INPUTS, OUTPUTS) if kind == "gcn" else GAT(graph, INPUTS, OUTPUTS, HEADS)
    assert layer(torch.zeros(0, NODES, INPUTS)).shape == (0, NODES, OUTPUTS)


def test_topology_is_no_part_of_the_state(graph: Topology) -> None:
    state = GAT(graph, INPUTS, OUTPUTS, HEADS).state_dict()
    assert set(state) == {"value.weight", "score.weight", "out.weight", "out.bias"}


def test_a_pathway_is_the_mean_of_its_members() -> None:
    members = membership(["a", "b", "c"], [("p", "a"), ("p", "c"), ("q", "b"), ("q", "unknown")])
    assert members is not None
    assert members.pathways == ("p", "q")
    x = torch.tensor([[[1.0, 2.0], [5.0, 6.0], [3.0, 4.0]]], requires_grad=True)
    pooled = Pathways(members)(x)
    torch.testing.assert_close(pooled, torch.tensor([[[2.0, 3.0], [5.0, 6.0]]]))
    (gradient,) = torch.autograd.grad(pooled[0, 0].sum(), x)
    torch.testing.assert_close(gradient, torch.tensor([[[0.5, 0.5], [0.0, 0.0], [0.5, 0.5]]]))


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_nodes_without_edges_are_those_of_pyg(kind: str) -> None:
    """They hear themselves alone, and the scores play no part."""
    graph = topology(NODES, ())
    x = torch.randn(3, NODES, INPUTS, dtype=torch.float64, requires_grad=True)
    if kind == "gcn":
        layer = GCN(graph, INPUTS, OUTPUTS).double()
        torch.testing.assert_close(layer(x), layer.linear(x))
        return
    attention = GAT(graph, INPUTS, OUTPUTS, HEADS).double()
    reference = as_pyg(attention)
    ours = attention.attend(x)
    theirs = torch.stack([reference(patient, graph.edge_index) for patient in x])
    torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=1e-12)
    torch.testing.assert_close(gradients(ours, x), gradients(theirs, x), atol=1e-12, rtol=1e-12)
    (score,) = torch.autograd.grad(attention.attend(x).sum(), [attention.score.weight])
    assert score.abs().max() < 1e-12


@pytest.mark.parametrize("scale", [1.0, 1000.0])
def test_a_patient_is_the_same_to_the_bit_in_any_company(graph: Topology, scale: float) -> None:
    """Measure the attention itself; matrix products before and after it are the library's."""
    layer = GAT(graph, INPUTS, OUTPUTS, HEADS)
    scores, value = scale * torch.randn(5, NODES, 2 * HEADS), torch.randn(5, NODES, OUTPUTS)
    scores[3] *= 1e6
    found = []
    for chosen in ([0, 1, 2, 3, 4], [2], [4, 2], [2, 3]):
        own = [tensor[chosen].clone().requires_grad_() for tensor in (scores, value)]
        output = _Attention.apply(*own, HEADS, layer.graph)  # type: ignore[no-untyped-call]
        (output * torch.linspace(-1, 1, OUTPUTS)).sum().backward()
        place = chosen.index(2)
        assert own[0].grad is not None
        assert own[1].grad is not None
        found.append((output[place], own[0].grad[place], own[1].grad[place]))
    for other in found[1:]:
        assert all(torch.equal(first, second) for first, second in zip(found[0], other, strict=True))


def test_scores_have_no_gradient_where_one_sender_has_all_the_attention(graph: Topology) -> None:
    """In double precision it is 0 to the bit: what rounding left there, steep weights would make large."""
    layer = GAT(graph, INPUTS, OUTPUTS, HEADS)
    scores = 1e9 * torch.randn(3, NODES, 2 * HEADS, dtype=torch.float64)
    value = 1e9 * torch.randn(3, NODES, OUTPUTS, dtype=torch.float64)
    scores.requires_grad_()
    output = _Attention.apply(scores, value, HEADS, layer.graph)  # type: ignore[no-untyped-call]
    (gradient,) = torch.autograd.grad((output * torch.randn_like(output)).sum(), scores)
    assert not gradient.any()


def test_a_layer_serves_batches_of_any_size_in_any_order(graph: Topology) -> None:
    layer, x = GAT(graph, INPUTS, OUTPUTS, HEADS).double(), torch.randn(9, NODES, INPUTS).double()
    whole = GAT(graph, INPUTS, OUTPUTS, HEADS).double()
    whole.load_state_dict(layer.state_dict())
    expected = whole(x)
    for size in (2, 0, 9, 1, 5):
        torch.testing.assert_close(layer(x[:size]), expected[:size])


@pytest.mark.parametrize("kind", ["gcn", "gat"])
def test_sums_are_single_precision_under_autocast(graph: Topology, kind: str) -> None:
    layer = GCN(graph, INPUTS, OUTPUTS) if kind == "gcn" else GAT(graph, INPUTS, OUTPUTS, HEADS)
    x = torch.randn(3, NODES, INPUTS, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        halved = layer(x)
    assert halved.dtype == torch.bfloat16  # that of the linear map behind
    whole = layer(x)
    torch.testing.assert_close(halved.float(), whole, atol=0.05, rtol=0.05)
    for ours, exact in zip(gradients(halved.float(), x), gradients(whole, x), strict=True):
        assert (ours - exact).norm() < 0.05 * exact.norm()


def test_entries_are_reduced_row_by_row(graph: Topology) -> None:
    """Sums and maxima as scattering computes them, where no row is empty."""
    pattern, nodes = Pattern(graph.rows, graph.columns, graph.nodes), graph.nodes
    entries = torch.randn(3, len(graph.columns), generator=torch.Generator().manual_seed(0))
    index, empty = graph.receiver.expand(3, -1), entries.new_full((3, nodes), -torch.inf)
    torch.testing.assert_close(
        pattern.reduced(entries, "sum"), entries.new_zeros(3, nodes).scatter_add(1, index, entries)
    )
    assert torch.equal(pattern.reduced(entries, "max"), empty.scatter_reduce(1, index, entries, "amax"))
