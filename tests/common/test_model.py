from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
import torch
from torch import Tensor, nn

from common.batch import PatientBatch
from common.federation import Federation, ModelConfig, PriorGraph, Privacy, PublicFile, Training
from common.graphs import Prior, membership, topology
from common.model import Branch, HierarchicalMultimodalGNN, averaging_group, build_model, patients_behind
from common.objectives import multitask_loss
from common.privacy_plan import with_privacy
from common.schema import Modality, ResponseTask

Make = Callable[..., Federation]
MakeBatch = Callable[..., PatientBatch]


@pytest.fixture
def model(federation: Federation, prior: Prior) -> HierarchicalMultimodalGNN:
    """A model whose additive scores, 0 before training, count."""
    torch.manual_seed(0)
    model = HierarchicalMultimodalGNN(federation, prior).eval()
    for branch in model.branches.values():
        for score in branch.get_submodule("scores").parameters():
            nn.init.normal_(score)
    return model


def without(batch: PatientBatch, modality: str, patients: list[int]) -> PatientBatch:
    """The batch after these patients have lost a modality."""
    values, observed = dict(batch.values), dict(batch.observed)
    observed[modality] = observed[modality].clone()
    observed[modality][patients] = False
    values[modality] = values[modality] * observed[modality]
    return replace(batch, values=values, observed=observed)


def assert_equal(first: dict[str, Tensor], second: dict[str, Tensor]) -> None:
    assert list(first) == list(second)
    for name, logits in first.items():
        assert torch.equal(logits, second[name])


def loss_of(
    model: HierarchicalMultimodalGNN, batch: PatientBatch, federation: Federation, cuts: dict[str, Tensor]
) -> Tensor:
    return multitask_loss(federation.tasks, model(batch), batch, cuts, model.log_variance).sum()


def test_permuted_patients_give_permuted_outputs(
    model: HierarchicalMultimodalGNN, make_batch: MakeBatch
) -> None:
    batch, order = make_batch(7), torch.tensor([3, 6, 0, 4, 1, 5, 2])
    outputs, permuted = model(batch), model(batch.select(order))
    for name, logits in outputs.items():
        torch.testing.assert_close(permuted[name], logits[order], atol=1e-6, rtol=1e-5)


def test_a_patients_output_does_not_depend_on_the_others(
    model: HierarchicalMultimodalGNN, make_batch: MakeBatch
) -> None:
    batch = make_batch(9)
    together = model(batch)
    for patient in range(9):
        for name, logits in model(batch.select(torch.tensor([patient]))).items():
            torch.testing.assert_close(logits[0], together[name][patient], atol=1e-6, rtol=1e-5)


def test_nothing_flows_between_patients(model: HierarchicalMultimodalGNN, make_batch: MakeBatch) -> None:
    """Not close to nothing: exactly nothing."""
    batch = make_batch(5)
    values = {name: value.requires_grad_() for name, value in batch.values.items()}
    total = torch.stack([logits[2].sum() for logits in model(replace(batch, values=values)).values()]).sum()
    for name, gradient in zip(values, torch.autograd.grad(total, list(values.values())), strict=True):
        assert not gradient[torch.arange(5) != 2].any()
        assert gradient[2].any() == batch.present(name)[2]


@pytest.mark.parametrize("modality", ["clinical", "rna", "protein", "imaging"])
def test_a_modality_one_patient_loses_changes_nobody_else(
    model: HierarchicalMultimodalGNN, make_batch: MakeBatch, modality: str
) -> None:
    batch = make_batch(9)
    patient = int(batch.present(modality).nonzero()[0])
    others = torch.arange(9) != patient
    before, after = model(batch), model(without(batch, modality, [patient]))
    for name, logits in before.items():
        # BLAS sums in another order for another number of patients
        torch.testing.assert_close(after[name][others], logits[others], atol=1e-6, rtol=1e-6)
        assert not torch.allclose(after[name][patient], logits[patient], atol=1e-4)


def test_values_that_were_not_observed_do_not_matter(
    model: HierarchicalMultimodalGNN, make_batch: MakeBatch
) -> None:
    batch = make_batch(9)
    wild = {
        name: torch.where(batch.observed[name], value, 1e6 * torch.randn_like(value))
        for name, value in batch.values.items()
    }
    assert_equal(model(replace(batch, values=wild)), model(batch))


def test_an_absent_modality_is_as_if_the_model_had_no_such_branch(
    model: HierarchicalMultimodalGNN,
    federation: Federation,
    prior: Prior,
    make_federation: Make,
    make_batch: MakeBatch,
) -> None:
    batch = without(make_batch(6), "protein", list(range(6)))
    fewer = make_federation(modalities=tuple(m for m in federation.modalities if m.name != "protein"))
    smaller = HierarchicalMultimodalGNN(fewer, prior).eval()
    smaller.load_state_dict({k: v for k, v in model.state_dict().items() if "branches.protein" not in k})
    for name, logits in model(batch).items():
        torch.testing.assert_close(smaller(batch)[name], logits, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("mode", ["train", "eval"])
def test_patients_with_nothing_at_all_give_finite_outputs_and_gradients(
    model: HierarchicalMultimodalGNN,
    federation: Federation,
    cuts: dict[str, Tensor],
    make_batch: MakeBatch,
    mode: str,
) -> None:
    batch = make_batch(5)
    for modality in model.modalities:
        batch = without(batch, modality, list(range(5)))
    model.train(mode == "train")
    assert all(logits.isfinite().all() for logits in model(batch).values())
    loss_of(model, batch, federation, cuts).backward()
    gradients = {name: own.grad for name, own in model.named_parameters()}
    assert all(grad.isfinite().all() for grad in gradients.values() if grad is not None)
    assert {name for name, grad in gradients.items() if grad is None} == {
        name for name in gradients if name.startswith("branches.")
    }


def test_only_the_branch_nobody_has_gets_no_gradient(
    model: HierarchicalMultimodalGNN, federation: Federation, cuts: dict[str, Tensor], make_batch: MakeBatch
) -> None:
    batch = without(make_batch(9), "rna", list(range(9)))
    loss_of(model, batch, federation, cuts).backward()
    for name, own in model.named_parameters():
        assert (own.grad is None) == name.startswith("branches.rna.")


def test_no_patient_is_still_a_batch(model: HierarchicalMultimodalGNN, make_batch: MakeBatch) -> None:
    outputs = model(make_batch(4).select(torch.zeros(4, dtype=torch.bool)))
    assert {name: tuple(logits.shape) for name, logits in outputs.items()} == {
        "survival": (0, 4),
        "response": (0, 3),
        "toxicity": (0, 2),
    }


@pytest.mark.parametrize("pathways", [True, False])
def test_renumbered_genes_leave_the_token_unchanged(
    federation: Federation, prior: Prior, make_batch: MakeBatch, pathways: bool
) -> None:
    """Columns, graph, membership and identity codes all follow the genes' names."""
    rna, order = federation.modality("rna"), torch.randperm(12, generator=torch.Generator().manual_seed(3))
    place = torch.argsort(order)
    config = federation.model.model_copy(update={"gat_layers": 1, "gcn_layers": 1})
    names = tuple(rna.columns[int(gene)] for gene in order)
    renumbered = Modality(name="rna", node="gene", columns=names)
    graph = topology(12, ((int(place[a]), int(place[b])) for a, b in prior.topology["rna"].edge_index.t()))
    matrix = prior.membership["rna"].matrix.to_dense()
    members = membership(
        names, [(f"{pathway}", rna.columns[gene]) for pathway, gene in matrix.nonzero().tolist()]
    )
    ladder = prior.hierarchy["rna"]
    first = Branch(
        rna,
        prior.topology["rna"],
        prior.membership["rna"] if pathways else None,
        ladder,
        federation.tasks,
        config,
    ).eval()
    second = Branch(renumbered, graph, members if pathways else None, ladder, federation.tasks, config).eval()
    for score in first.scores.parameters():
        nn.init.normal_(score)
    state = first.state_dict()
    for name in ("direct.weight", *(f"scores.{task.name}.weight" for task in federation.tasks)):
        state[name] = state[name][:, order]
    if not pathways:  # the genes themselves are then what the token layer reads
        state["token.weight"] = state["token.weight"].unflatten(1, (12, -1))[:, order].flatten(1)
    second.load_state_dict(state)
    batch = make_batch(8)
    values, observed = batch.values["rna"], batch.observed["rna"]
    here = batch.present("rna")
    torch.testing.assert_close(
        second(values[:, order], observed[:, order], here),
        first(values, observed, here),
        atol=1e-5,
        rtol=1e-5,
    )


def test_scores_add_a_linear_model_to_the_logits_of_those_who_have_the_modality(
    model: HierarchicalMultimodalGNN, federation: Federation, make_batch: MakeBatch
) -> None:
    """A survival score shifts the logit of every interval alike: proportional odds."""
    batch = make_batch(9)
    present = batch.present("rna")
    assert present.any()
    assert not present.all()
    state, before = model.state_dict(), model(batch)
    for task in federation.tasks:
        state[f"branches.rna.scores.{task.name}.weight"].add_(1.0)
    shift = batch.values["rna"].sum(1, keepdim=True) / 12**0.5
    for name, logits in model(batch).items():
        torch.testing.assert_close(logits, before[name] + shift * present[:, None], atol=1e-5, rtol=1e-5)


def test_before_training_the_linear_model_says_nothing(
    federation: Federation, prior: Prior, make_batch: MakeBatch
) -> None:
    _, scores = HierarchicalMultimodalGNN(federation, prior).encode(make_batch(9))
    assert {name: bool(score.any()) for name, score in scores.items()} == {
        "survival": False,
        "response": False,
        "toxicity": False,
    }


def test_missing_and_zero_are_different(federation: Federation, prior: Prior) -> None:
    """Of several initialisations, since in one the units that tell may all be inactive."""
    values, observed = torch.zeros(2, 12), torch.ones(2, 12, dtype=torch.bool)
    observed[1, :6] = False
    told = []
    for _ in range(10):
        token, _ = HierarchicalMultimodalGNN(federation, prior).branches["rna"](
            values, observed, observed.any(1)
        )
        told.append(not torch.allclose(token[0], token[1], atol=1e-3))
    assert sum(told) >= 5


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
def test_averaging_groups(parameter: str, group: str) -> None:
    assert averaging_group(parameter) == group


def test_every_part_is_averaged_by_the_patients_who_train_it(
    model: HierarchicalMultimodalGNN, federation: Federation, make_batch: Callable[..., PatientBatch]
) -> None:
    modalities, tasks = ("clinical", "rna", "protein", "imaging"), ("survival", "response", "toxicity")
    groups = {averaging_group(name) for name in model.state_dict()}
    assert groups == {
        "patients",
        *(f"branches.{name}" for name in modalities),
        *(f"branches.{name}.scores.{task}" for name in modalities for task in tasks),
        *(f"heads.{name}" for name in tasks),
    }
    batch = make_batch(30)
    counts = patients_behind(batch, federation)
    assert set(counts) == groups
    assert counts["patients"] == 30
    both = batch.observed["rna"].any(1) & batch.labelled["response"].any(1)
    assert counts["branches.rna.scores.response"] == int(both.sum()) < counts["branches.rna"]


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


def test_the_patient_comes_first_at_every_layer_with_weights(
    model: HierarchicalMultimodalGNN, make_batch: MakeBatch
) -> None:
    batch = make_batch(5)
    for name in model.modalities:
        batch.observed[name][:] = True
    seen: dict[str, set[int]] = {}

    def watch(name: str) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        return lambda module, inputs: seen.setdefault(name, set()).add(inputs[0].shape[0])

    for name, module in model.named_modules():
        if isinstance(module, nn.Linear | nn.LayerNorm):
            module.register_forward_pre_hook(watch(name))
    model(batch)
    assert {name for name, sizes in seen.items() if sizes != {5}} == set()
    assert len(seen) == sum(isinstance(m, nn.Linear | nn.LayerNorm) for m in model.modules())


def small(**changes: object) -> ModelConfig:
    return ModelConfig.model_validate({"node_width": 4, "pathway_width": 6, "width": 8, "heads": 2} | changes)


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


def test_dropout_is_for_training_only(model: HierarchicalMultimodalGNN, make_batch: MakeBatch) -> None:
    batch = make_batch(6)
    assert_equal(model(batch), model(batch))
    model.train()
    assert not torch.equal(model(batch)["survival"], model(batch)["survival"])


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
