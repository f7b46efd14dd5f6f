from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch_geometric.nn import GATConv, GCNConv

from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.families.patient_loss import patient_loss
from common.models.federated import FederatedModel
from common.models.graphs import Prior, topology
from common.models.layers import GAT, GCN
from common.patients.objective import multitask_loss
from simulations.benchmarks.measuring import reference
from simulations.benchmarks.measuring.reference import Workload
from simulations.benchmarks.training_step import pyg
from simulations.benchmarks.training_step.pyg import GraphAttention, PygNetwork, collate

PATIENTS = 6


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Workload:
    """The reference configuration on fewer nodes."""
    for name, size in {"GENES": 60, "PROTEINS": 40, "IMAGING": 24, "PATHWAYS": 7, "MEMBERS": 5}.items():
        monkeypatch.setattr(reference, name, size)
    return reference.reference(PATIENTS)


def linear(ours: nn.Linear, theirs: nn.Module) -> None:
    assert isinstance(theirs, nn.Linear)
    theirs.load_state_dict(ours.state_dict())


def give_weights(ours: GCN | GAT, theirs: nn.Module) -> None:
    """PyG's layer gets our weights; our scores, linear in x, become PyG's, linear in W x."""
    if isinstance(ours, GCN):
        assert isinstance(theirs, GCNConv)
        theirs.lin.weight.copy_(ours.linear.weight)
        theirs.bias.copy_(ours.linear.bias)
    else:
        assert isinstance(theirs, GraphAttention)
        theirs.attend.lin.weight.copy_(ours.value.weight)
        per_head = ours.value.weight.view(ours.heads, -1, ours.value.in_features)
        ours.score.weight[: ours.heads] = torch.einsum("hd,hdf->hf", theirs.attend.att_src[0], per_head)
        ours.score.weight[ours.heads :] = torch.einsum("hd,hdf->hf", theirs.attend.att_dst[0], per_head)
        linear(ours.out, theirs.out)


@torch.no_grad()
def same_weights(ours: FederatedModel, theirs: PygNetwork) -> None:
    mine, other = dict(ours.named_modules()), dict(theirs.named_modules())
    for name, layer in mine.items():
        if isinstance(layer, GCN | GAT):
            give_weights(layer, other[name])
        elif isinstance(layer, nn.Linear | nn.LayerNorm) and name in other:
            other[name].load_state_dict(layer.state_dict())


def both(work: Workload) -> Iterator[tuple[nn.Module, Tensor]]:
    """(model, loss per patient) of ours and of PyG's, with the same weights in double precision."""
    ours = work.model()
    theirs = PygNetwork(work.federation, work.prior)
    same_weights(ours, theirs)
    ours.double()
    theirs.double()
    values = {name: own.double() for name, own in work.batch.values.items()}
    batch = type(work.batch)(values, work.batch.observed, work.batch.labels, work.batch.labelled)
    yield ours, patient_loss(ours, batch, work.federation, work.cuts)
    graphs = collate(work.batch, work.federation, work.prior).apply(
        lambda own: own.double() if own.is_floating_point() else own
    )
    yield theirs, multitask_loss(work.federation.tasks, theirs(graphs), batch, work.cuts, None)


def test_both_networks_are_one_function_with_one_gradient(work: Workload) -> None:
    assert not all(work.batch.present(name).all() for name in work.batch.values)
    (ours, our_loss), (theirs, their_loss) = both(work)
    torch.testing.assert_close(our_loss, their_loss, atol=1e-6, rtol=1e-6)  # the GCN's weights are float32
    our_loss.sum().backward()
    their_loss.sum().backward()
    mine, other = dict(ours.named_parameters()), dict(theirs.named_parameters())
    shared = mine.keys() & other.keys()
    assert len(shared) > 100
    for name in shared:
        torch.testing.assert_close(mine[name].grad, other[name].grad, atol=1e-6, rtol=1e-5)


def test_both_networks_have_about_as_many_parameters(work: Workload) -> None:
    ours = sum(own.numel() for own in work.model().parameters())
    theirs = sum(own.numel() for own in PygNetwork(work.federation, work.prior).parameters())
    assert abs(theirs / ours - 1) < 0.05


def test_a_modality_that_nobody_has_is_a_token_that_nobody_reads(work: Workload) -> None:
    observed = dict(work.batch.observed) | {"rna": torch.zeros_like(work.batch.observed["rna"])}
    batch = type(work.batch)(work.batch.values, observed, work.batch.labels, work.batch.labelled)
    graphs = collate(batch, work.federation, work.prior)
    assert len(graphs["rna"].x) == 0
    logits = PygNetwork(work.federation, work.prior)(graphs)
    assert all(own.shape[0] == PATIENTS and own.isfinite().all() for own in logits.values())


def test_messages_pass_where_there_are_edges() -> None:
    config = HierarchicalConfig(node_width=8, node_heads=2, gcn_layers=1, gat_layers=1)
    prior = Prior({"a": topology(3, [(0, 1)]), "b": topology(3, [])}, {}, {})
    with_edges, without = (
        pyg.PygBranch(Modality(name=name, node="imaging", columns=("x", "y", "z")), prior, (), config)
        for name in "ab"
    )
    assert with_edges.graph is not None
    assert isinstance(with_edges.graph.layers[0], GCNConv)
    assert isinstance(with_edges.graph.layers[1], GraphAttention)
    assert not any(isinstance(own, GCNConv | GATConv) for own in without.modules())
