"""The model's weights: from which seed, by whom averaged, and each of them learnt."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.agreement.prior_graph import PriorGraph, PublicFile
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Training
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.models.registry import build_model, model_groups
from common.patients.batch import PatientBatch
from common.privacy.planning import with_privacy
from common.tasks.response import ResponseTask
from tests.common.outputs import assert_equal, loss_of

Make = Callable[..., Federation]
MakeBatch = Callable[..., PatientBatch]


@pytest.mark.parametrize(
    ("parameter", "group"),
    [
        ("branches.rna.graph.layers.0.linear.weight", "branches.rna"),
        ("branches.clinical.norm.bias", "branches.clinical"),
        ("heads.survival.weight", "heads.survival"),
        ("patient.weight", "patients"),
        ("cross.query.weight", "patients"),
        ("fusion.0.before.bias", "patients"),
        ("predictor.weight", "patients"),
        ("log_variance", "patients"),
    ],
)
def test_averaging_groups(federation: Federation, parameter: str, group: str) -> None:
    assert model_groups(federation, [parameter])[parameter].name == group


@pytest.fixture
def with_pathways(make_federation: Make, tmp_path: Path) -> Federation:
    pairs = [("alpha", f"GENE{number}") for number in range(6)]
    pd.DataFrame(pairs, columns=["pathway", "gene"]).to_csv(tmp_path / "pathways.csv", index=False)
    prior = PriorGraph(pathways=PublicFile.of(tmp_path, "pathways.csv"))
    return make_federation(prior=prior, training=Training(contrastive_weight=0.1))


def test_the_same_seed_gives_the_same_weights_whatever_was_drawn_before(
    with_pathways: Federation, tmp_path: Path
) -> None:
    torch.manual_seed(1)
    first = build_model(with_pathways, tmp_path, seed=5).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    again = build_model(with_pathways, tmp_path, seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)
    assert_equal(again, first)
    other = build_model(with_pathways, tmp_path, seed=6).state_dict()
    assert not torch.equal(other["patient.weight"], first["patient.weight"])


def test_the_state_is_learnt_weights_and_nothing_else(with_pathways: Federation, tmp_path: Path) -> None:
    built = build_model(with_pathways, tmp_path, seed=0)
    assert set(built.state_dict()) == {name for name, _ in built.named_parameters()}
    assert all(tensor.dtype == torch.float32 for tensor in built.state_dict().values())
    assert not any("_module." in name for name in built.state_dict())


def test_every_weight_lives_where_per_patient_gradients_are_exact(
    with_pathways: Federation, tmp_path: Path
) -> None:
    built = build_model(with_pathways, tmp_path, seed=0)
    covered = {
        f"{name}.{own}"
        for name, module in built.named_modules()
        if isinstance(module, nn.Linear | nn.LayerNorm)
        for own, _ in module.named_parameters(recurse=False)
    }
    assert {name for name, _ in built.named_parameters()} - covered == {"log_variance"}


def small(**changes: object) -> HierarchicalConfig:
    return HierarchicalConfig.model_validate(
        {"node_width": 4, "pathway_width": 6, "width": 8, "heads": 2} | changes
    )


SHAPES: dict[str, dict[str, object]] = {
    "one task": {
        "tasks": (ResponseTask(name="response", label="response", classes=("no", "partial", "yes")),)
    },
    "no clinical modality": {
        "modalities": (Modality(name="protein", node="protein", columns=("P1", "P2", "P3")),)
    },
    "two GAT layers": {"model": small(gat_layers=2)},
    "no node GAT": {"model": small(gat_layers=0)},
    "no GCN": {"model": small(gcn_layers=0)},
    "no node graph at all": {"model": small(gcn_layers=0, gat_layers=0, pathway_gat_layers=0)},
    "no fusion": {"model": small(fusion_layers=0)},
    "tasks weighted alike": {"training": Training(learn_task_weights=False)},
}


@pytest.mark.parametrize("pathways", [True, False])
@pytest.mark.parametrize("case", SHAPES)
def test_every_weight_learns_in_every_shape_of_federation(
    case: str,
    pathways: bool,
    make_federation: Make,
    prior: Prior,
    make_batch: MakeBatch,
    cuts: dict[str, Tensor],
) -> None:
    federation = make_federation(**SHAPES[case])
    model = HierarchicalMultimodalGNN(federation, prior if pathways else Prior(prior.topology, {}, {}))
    assert (model.log_variance is None) == (case in ("one task", "tasks weighted alike"))
    assert (model.demographic is None) == (case == "no clinical modality")
    batch = make_batch(12)
    outputs = model(batch)
    assert {name: tuple(logits.shape) for name, logits in outputs.items()} == {
        task.name: (12, task.outputs) for task in federation.tasks
    }
    loss_of(model, batch, federation, cuts).backward()
    for name, own in model.named_parameters():
        assert own.grad is not None, name
        assert own.grad.isfinite().all(), name


def test_additive_logits_are_those_of_the_whole_model_while_the_heads_read_nothing(
    make_federation: Callable[..., Federation], prior: Prior, make_batch: MakeBatch
) -> None:
    privacy = Privacy(noise_multiplier=1, sampling_rate=1, expected_batch_size=1)
    model = HierarchicalMultimodalGNN(with_privacy(make_federation(), privacy), prior)
    for name, parameter in model.named_parameters():
        if ".scores." in name or name.endswith("bias"):
            nn.init.normal_(parameter)
    batch = make_batch(9)
    torch.testing.assert_close(model.additive(batch), model(batch))
