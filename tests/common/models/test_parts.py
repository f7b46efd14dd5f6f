"""Figures of a model's parts, against closed forms and against parts that were broken on purpose."""

from collections.abc import Callable
from copy import deepcopy
from dataclasses import dataclass, replace

import pytest
import torch
from torch import Tensor, nn

from common.agreement.federation import Federation
from common.models import layer_kinds
from common.models.activity import SMALLEST_EDGES, Activity, Measure, shortfalls
from common.models.branch import GraphStack
from common.models.graphs import Prior, Topology, topology
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.models.parts import (
    UNITS_AT_ONCE,
    AlongEdges,
    BranchPart,
    Parts,
    measure_activity,
    without_edges,
)
from common.patients.batch import PatientBatch
from common.patients.objective import multitask_loss

MakeBatch = Callable[..., PatientBatch]
U, V = [1.0, -1.0, 1.0, -1.0], [1.0, 1.0, -1.0, -1.0]


@dataclass(frozen=True)
class Rows:
    """Rows [U, 2] of two uncorrelated numbers."""

    table: Tensor

    def __len__(self) -> int:
        return len(self.table)

    @property
    def size(self) -> int:
        return self.table.nbytes

    @property
    def device(self) -> torch.device:
        return self.table.device

    def select(self, units: Tensor) -> "Rows":
        return Rows(self.table[units])

    def to(self, device: torch.device) -> "Rows":
        return self

    def padded(self, units: int) -> "Rows":
        return self


class Sum(nn.Module):
    """Risk 2u + v: a branch for u, and v as the linear score."""

    def __init__(self) -> None:
        super().__init__()
        self.branch, self.head = nn.Linear(1, 1, bias=False), nn.Linear(1, 1, bias=False)
        nn.init.constant_(self.branch.weight, 1.0)
        nn.init.constant_(self.head.weight, 2.0)

    def forward(self, rows: Rows) -> dict[str, Tensor]:
        network: Tensor = self.head(self.branch(rows.table[:, :1]))
        return {"risk": network + rows.table[:, 1:]}

    def parts(self) -> Parts:
        return Parts(
            {"u": BranchPart(self.branch, list(self.branch.parameters()))},
            linear=lambda rows: {"risk": rows.table[:, 1:]},
            widths={"risk": 1},
            weights={"head": list(self.head.parameters())},
            heads=[self.head],
        )


class Mix(AlongEdges):
    """u + weight x v [U, 1]: a node and its neighbour."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(weight))

    def forward(self, table: Tensor) -> Tensor:
        return table[:, :1] + self.weight * table[:, 1:]

    def edgeless(self) -> "Mix":
        return Mix(0.0)


class Joined(nn.Module):
    """Risk u + weight x v, where v comes along an edge."""

    def __init__(self, weight: float) -> None:
        super().__init__()
        self.graph, self.branch = Mix(weight), nn.Linear(1, 1, bias=False)
        nn.init.ones_(self.branch.weight)

    def forward(self, rows: Rows) -> dict[str, Tensor]:
        return {"risk": self.branch(self.graph(rows.table))}


@pytest.mark.parametrize(("weight", "share"), [(2.0, 0.8), (0.0, 0.0)])
def test_the_effect_of_edges_is_what_is_missing_without_them(weight: float, share: float) -> None:
    model = Joined(weight)
    part = BranchPart(model.branch, list(model.parameters()), [model.graph])
    parts = Parts({"u": part}, lambda rows: {"risk": torch.zeros(len(rows), 1)}, {"risk": 1}, {}, [])
    rows = Rows(torch.tensor([U, V]).t())
    activity = measure_activity(model, parts, rows, lambda some: model(some)["risk"][:, 0] ** 2)
    assert activity.branches["u"].edges == {"risk": pytest.approx(share)}
    assert activity.branches["u"].share == {"risk": 1}
    named = [(below.part, below.measure) for below in shortfalls(activity)]
    assert named == ([] if share else [("u", Measure.EDGES)])


class Fixed(Mix):
    """Module that cannot be had without its edge."""

    def edgeless(self) -> None:  # type: ignore[override]
        return None


def test_edges_are_taken_away_for_a_moment_and_all_or_none() -> None:
    model, rows = Joined(2.0), Rows(torch.tensor([U, V]).t())
    whole, bare = torch.tensor(U) + 2 * torch.tensor(V), torch.tensor(U)
    with without_edges([model.graph]) as possible:
        assert possible
        assert torch.equal(model(rows)["risk"][:, 0], bare)
    assert torch.equal(model(rows)["risk"][:, 0], whole)
    with without_edges([model.graph, Fixed(1.0)]) as possible:
        assert not possible
        assert torch.equal(model(rows)["risk"][:, 0], whole)
    with without_edges([]) as possible:
        assert not possible


def measured(model: Sum, copies: int = 1) -> Activity:
    rows = Rows(torch.tensor([U, V]).t().repeat(copies, 1))
    return measure_activity(
        model, model.parts(), rows, lambda some: model(some)["risk"][:, 0] * some.table[:, 0]
    )


@pytest.mark.parametrize("copies", [1, UNITS_AT_ONCE])  # all at once, and in several parts
def test_shares_and_gradients_are_those_of_the_closed_form(copies: int) -> None:
    activity = measured(Sum(), copies)
    assert activity.branches["u"].active == 1
    assert activity.branches["u"].share == {"risk": pytest.approx(0.8)}  # 4 of 5
    assert activity.network == {"risk": pytest.approx(0.8)}
    # mean of u (w h u + v) over patients is w h, for weights w = 1 and h = 2
    assert activity.branches["u"].gradient == pytest.approx(2)
    assert activity.gradients == {"head": pytest.approx(1)}
    assert not shortfalls(activity)


def test_a_head_of_zero_leaves_no_share_and_is_drawn_for_the_gradients_alone() -> None:
    model = Sum()
    nn.init.zeros_(model.head.weight)
    activity = measured(model)
    assert activity.network == activity.branches["u"].share == {"risk": 0}
    assert activity.branches["u"].active == 1
    assert activity.branches["u"].gradient
    assert not model.head.weight.any()
    assert [(below.part, below.measure) for below in shortfalls(activity)] == [("network", Measure.NETWORK)]


def test_a_unit_that_hardly_differs_between_patients_is_not_active() -> None:
    model = Sum()
    model.branch.bias = nn.Parameter(torch.tensor([200.0]))
    activity = measured(model)
    assert activity.branches["u"].active == 0
    assert [below.measure for below in shortfalls(activity)] == [Measure.ACTIVE]


@pytest.fixture
def model(federation: Federation, prior: Prior) -> HierarchicalMultimodalGNN:
    """A network that adds to its linear scores what its graphs say."""
    torch.manual_seed(3)
    model = HierarchicalMultimodalGNN(federation, prior)
    for name, weight in model.named_parameters():
        if "scores" in name or (name.startswith("heads") and name.endswith("weight")):
            nn.init.normal_(weight, std=0.01 if "scores" in name else 1.0)
        if name.endswith("token.weight"):
            nn.init.normal_(weight, std=3.0)
    nn.init.zeros_(model.patient.weight)
    return model


@pytest.fixture
def measure(
    federation: Federation, cuts: dict[str, Tensor], make_batch: MakeBatch
) -> Callable[[HierarchicalMultimodalGNN], Activity]:
    drawn = make_batch(150)
    observed = {name: torch.ones_like(seen) for name, seen in drawn.observed.items()}
    values = {name: torch.randn_like(value) for name, value in drawn.values.items()}
    batch = replace(drawn, values=values, observed=observed)

    def on_patients(model: HierarchicalMultimodalGNN) -> Activity:
        def loss(some: PatientBatch) -> Tensor:
            return multitask_loss(federation.tasks, model(some), some, cuts, None)

        return measure_activity(model, model.parts(), batch, loss)

    return on_patients


Measuring = Callable[[HierarchicalMultimodalGNN], Activity]


def test_no_part_of_a_network_that_is_used_is_below_a_floor(
    model: HierarchicalMultimodalGNN, measure: Measuring
) -> None:
    before = deepcopy(model.state_dict())
    activity = measure(model)
    assert list(activity.branches) == ["clinical", "rna", "protein", "imaging"]
    assert set(activity.network) == {"survival", "response", "toxicity"}
    assert set(activity.gradients) == {"fusion", "heads"}
    assert not shortfalls(activity)
    assert all(torch.equal(weight, before[name]) for name, weight in model.state_dict().items())
    assert model.training
    assert all(weight.grad is None for weight in model.parameters())
    assert Activity.model_validate_json(activity.model_dump_json()) == activity


def below(activity: Activity) -> set[tuple[str, Measure]]:
    return {(shortfall.part, shortfall.measure) for shortfall in shortfalls(activity)}


@pytest.mark.parametrize("layer", ["squeeze.weight", "squeeze.bias"])
def test_a_branch_whose_squeeze_is_zero_is_dead(
    model: HierarchicalMultimodalGNN, measure: Measuring, layer: str
) -> None:
    squeeze = model.branches["rna"].get_submodule("squeeze")
    nn.init.zeros_(squeeze.get_parameter("weight"))
    if layer == "squeeze.bias":
        nn.init.zeros_(squeeze.get_parameter("bias"))
    activity = measure(model)
    assert activity.branches["rna"].active == 0
    assert below(activity) == {("rna", Measure.ACTIVE), ("rna", Measure.SHARE)}


@pytest.mark.parametrize("layer", ["embed", "widen"])
def test_a_branch_whose_activation_is_far_below_zero_is_dead(
    model: HierarchicalMultimodalGNN, measure: Measuring, layer: str
) -> None:
    nn.init.constant_(model.branches["rna"].get_submodule(layer).get_parameter("bias"), -1e6)
    activity = measure(model)
    assert activity.branches["rna"].active == 0
    assert ("rna", Measure.ACTIVE) in below(activity)
    assert not {part for part, _ in below(activity)} - {"rna"}


def test_a_branch_that_no_later_layer_reads_has_no_share_and_no_gradient(
    model: HierarchicalMultimodalGNN, measure: Measuring
) -> None:
    for layer in ("token", "direct", "norm"):
        for weight in model.branches["protein"].get_submodule(layer).parameters():
            nn.init.zeros_(weight)
    activity = measure(model)
    assert activity.branches["protein"].active == 1
    assert {("protein", Measure.SHARE)} <= below(activity)


def test_without_its_edges_a_branch_has_another_share(
    model: HierarchicalMultimodalGNN, federation: Federation, prior: Prior, measure: Measuring
) -> None:
    edgeless = replace(prior, topology={**prior.topology, "rna": topology(12, [(0, 1)])})
    other = HierarchicalMultimodalGNN(federation, edgeless)
    other.load_state_dict(model.state_dict())
    with_edges, without = measure(model), measure(other)
    for task in with_edges.network:
        share, changed = with_edges.branches["rna"].share[task], without.branches["rna"].share[task]
        assert share is not None
        assert changed is not None
        assert abs(share - changed) > 1e-4
    assert with_edges.branches["rna"].active == without.branches["rna"].active == 1


def test_layers_that_no_longer_mix_leave_edges_without_effect(
    model: HierarchicalMultimodalGNN, measure: Measuring
) -> None:
    before = measure(model).branches["rna"]
    assert set(before.edges) == {"survival", "response", "toxicity"}
    assert max(filter(None, before.edges.values())) > SMALLEST_EDGES
    for stack in ("graph", "pathway_graph"):
        for weight in model.branches["rna"].get_submodule(f"{stack}.layers").parameters():
            nn.init.zeros_(weight)
    activity = measure(model)
    assert activity.branches["rna"].edges == {"survival": 0, "response": 0, "toxicity": 0}
    assert activity.branches["rna"].active == 1
    assert below(activity) == {("rna", Measure.EDGES)}


def test_a_branch_without_edges_has_no_figure_of_them(
    model: HierarchicalMultimodalGNN, measure: Measuring
) -> None:
    torch.manual_seed(0)
    expected = torch.rand(1)
    torch.manual_seed(0)
    model.branches["rna"].get_submodule("graph").edgeless()  # type: ignore[operator]
    assert torch.equal(torch.rand(1), expected)
    assert measure(model).branches["imaging"].edges == {}


class PerEdge(nn.Module):
    """Layer with a weight for every edge."""

    def __init__(self, graph: Topology, width_in: int, width_out: int, heads: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(len(graph.columns)))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight.mean()


def test_of_layers_with_a_weight_per_edge_the_effect_of_edges_is_not_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(layer_kinds._LAYERS, "per-edge", PerEdge)
    assert GraphStack(topology(3, [(0, 1)]), 4, ["per-edge"], 1).edgeless() is None
    assert GraphStack(topology(3, [(0, 1)]), 4, ["gcn", "gat"], 1).edgeless() is not None


def test_of_a_branch_that_nobody_has_nothing_is_known(
    model: HierarchicalMultimodalGNN, federation: Federation, cuts: dict[str, Tensor], make_batch: MakeBatch
) -> None:
    batch = make_batch(20)
    nobody = {**batch.observed, "protein": torch.zeros_like(batch.observed["protein"])}
    batch = replace(batch, observed=nobody)
    activity = measure_activity(
        model,
        model.parts(),
        batch,
        lambda some: multitask_loss(federation.tasks, model(some), some, cuts, None),
    )
    assert (activity.branches["protein"].active, activity.branches["protein"].share) == (None, {})
