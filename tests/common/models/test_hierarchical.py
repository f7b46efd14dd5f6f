"""Outputs of the model for a patient, from that patient's values alone, whatever is missing."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn

from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.models.branch import Branch
from common.models.graphs import Prior, membership, topology
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.models.parameter_groups import Counted
from common.patients.batch import PatientBatch
from tests.common.outputs import assert_equal, loss_of

Make = Callable[..., Federation]
MakeBatch = Callable[..., PatientBatch]


@pytest.fixture
def model(federation: Federation, prior: Prior) -> HierarchicalMultimodalGNN:
    """A model whose additive scores and heads, 0 before training, count."""
    torch.manual_seed(0)
    model = HierarchicalMultimodalGNN(federation, prior).eval()
    for branch in model.branches.values():
        for score in branch.get_submodule("scores").parameters():
            nn.init.normal_(score)
    for name, weight in model.heads.named_parameters():
        if name.endswith("weight"):
            nn.init.normal_(weight, std=0.3)
    return model


def without(batch: PatientBatch, modality: str, patients: list[int]) -> PatientBatch:
    """The batch after these patients have lost a modality."""
    values, observed = dict(batch.values), dict(batch.observed)
    observed[modality] = observed[modality].clone()
    observed[modality][patients] = False
    values[modality] = values[modality] * observed[modality]
    return replace(batch, values=values, observed=observed)


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
    config = HierarchicalConfig.of(federation.model).model_copy(update={"gat_layers": 1, "gcn_layers": 1})
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
        fits_scores=True,
    ).eval()
    second = Branch(
        renumbered, graph, members if pathways else None, ladder, federation.tasks, config, fits_scores=True
    ).eval()
    for score in first.scores.parameters():
        nn.init.normal_(score)
    state = first.state_dict()
    state["direct.weight"] = state["direct.weight"][:, order]
    for name in (f"scores.{task.name}.weight" for task in federation.tasks):
        state[name] = torch.cat([state[name][:, order], state[name][:, 12:]], dim=1)
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
    shift = batch.values["rna"].sum(1, keepdim=True) * federation.modality("rna").score_scale
    shift = shift + federation.modality("rna").flag_scale
    for name, logits in model(batch).items():
        torch.testing.assert_close(logits, before[name] + shift * present[:, None], atol=1e-5, rtol=1e-5)


def test_a_gap_in_a_modality_of_the_patient_counts_in_its_scores(
    model: HierarchicalMultimodalGNN, federation: Federation
) -> None:
    """Scores of three patients with mean values, one of whom has a gap and one nothing at all."""
    clinical, branch = federation.modality("clinical"), model.branches["clinical"]
    assert isinstance(branch, Branch)
    nodes = len(clinical.nodes)
    observed = torch.ones(3, nodes, dtype=torch.bool)
    observed[1, 1] = observed[2, :] = False
    for task, scores in branch.additive(torch.zeros(3, nodes), observed).items():
        of_gap = branch.get_parameter(f"scores.{task}.weight")[:, nodes + 1] * clinical.flag_scale
        torch.testing.assert_close(scores, torch.stack([0 * of_gap, of_gap, 0 * of_gap]))


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
    """In every initialisation: no unit is cut off for most patients."""
    values, observed = torch.zeros(2, 12), torch.ones(2, 12, dtype=torch.bool)
    observed[1, :6] = False
    for seed in range(10):
        torch.manual_seed(seed)
        branch = HierarchicalMultimodalGNN(federation, prior).branches["rna"]
        token = branch(values, observed, observed.any(1))
        assert not torch.allclose(token[0], token[1], atol=1e-3)


def test_every_part_is_averaged_by_the_patients_who_train_it(
    model: HierarchicalMultimodalGNN, federation: Federation, make_batch: Callable[..., PatientBatch]
) -> None:
    modalities, tasks = ("clinical", "rna", "protein", "imaging"), ("survival", "response", "toxicity")
    groups = model.groups()
    names = {groups[name].name for name in model.state_dict()}
    assert names == {
        "patients",
        *(f"branches.{name}" for name in modalities),
        *(f"branches.{name}.scores.{task}" for name in modalities for task in tasks),
        *(f"heads.{name}" for name in tasks),
    }
    batch = make_batch(30)
    behind = groups.patients_behind(batch)
    assert behind.counts is Counted.UNITS
    assert behind.shared == 30
    counts = behind.to_numbers()
    assert set(counts) == names
    both = batch.observed["rna"].any(1) & batch.labelled["response"].any(1)
    assert counts["branches.rna.scores.response"] == int(both.sum()) < counts["branches.rna"]


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


def test_dropout_is_for_training_only(model: HierarchicalMultimodalGNN, make_batch: MakeBatch) -> None:
    batch = make_batch(6)
    assert_equal(model(batch), model(batch))
    model.train()
    assert not torch.equal(model(batch)["survival"], model(batch)["survival"])
