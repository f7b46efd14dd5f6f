import random
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from client.rounds.split import split
from client.training.evaluation import evaluate, logits
from client.training.local import train
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.settings import Training
from common.errors import Refusal, RefusalCode
from common.messages.validation import LOSS_CEILING, SUMS
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch, concatenate
from common.tasks.hazard import survival_curve
from tests.client.cuts import with_cuts

Make = Callable[..., Federation]
MakeBatch = Callable[..., PatientBatch]
State = dict[str, Tensor]
SMALL = {
    "node_width": 4,
    "pathway_width": 4,
    "width": 8,
    "heads": 2,
    "node_dropout": 0.0,
    "modality_dropout": 0.0,
}


class Bench:
    """Trains a fresh small model, always from the same weights, under the settings a test asks for."""

    def __init__(self, make_federation: Make, prior: Prior, cuts: State) -> None:
        self.make_federation, self.prior, self.cuts = make_federation, prior, cuts

    def federation(self, **training: object) -> Federation:
        settings = Training.model_validate({"rounds": 10, "batch_size": 16, "learning_rate": 0.01} | training)
        return self.make_federation(model=HierarchicalConfig.model_validate(SMALL), training=settings)

    def model(self, federation: Federation) -> HierarchicalMultimodalGNN:
        torch.manual_seed(0)
        return HierarchicalMultimodalGNN(federation, self.prior)

    def train(
        self, batch: PatientBatch, round_: int = 1, seed: int = 0, **training: object
    ) -> tuple[HierarchicalMultimodalGNN, float]:
        federation = self.federation(**training)
        model = self.model(federation)
        return model, train(model, batch, Round(federation, with_cuts(self.cuts), round_, seed))

    def distance(self, batch: PatientBatch, round_: int = 1, **training: Any) -> float:
        """Distance that training moves the weights."""
        start = self.model(self.federation(**training)).state_dict()
        end = self.train(batch, round_, **training)[0].state_dict()
        return float(torch.stack([(end[name] - start[name]).square().sum() for name in start]).sum().sqrt())


@pytest.fixture
def bench(make_federation: Make, prior: Prior, cuts: State) -> Bench:
    return Bench(make_federation, prior, cuts)


@pytest.fixture
def learnable(make_batch: MakeBatch) -> PatientBatch:
    """Sixty patients whose every label follows from the first gene."""
    batch = make_batch(60, seed=3)
    for name in ("rna", "clinical"):
        batch.observed[name][:] = True
    first = torch.randn(60, generator=torch.Generator().manual_seed(4))
    batch.values["rna"][:, 0] = first
    high = (first > 0).float()
    labels = {
        "survival": torch.stack([torch.where(first > 0, 0.5, 6.0), torch.ones(60)], dim=1),
        "response": 2 * high[:, None],
        "toxicity": torch.stack([high, 1 - high], dim=1),
    }
    return replace(batch, labels=labels)


def assert_equal(first: State, second: State) -> None:
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_training_learns_what_can_be_learnt(bench: Bench, learnable: PatientBatch) -> None:
    federation = bench.federation(local_epochs=30)
    model = bench.model(federation)
    before = evaluate(model, learnable, Round(federation, with_cuts(bench.cuts)))
    train(model, learnable, Round(federation, with_cuts(bench.cuts)))
    after = evaluate(model, learnable, Round(federation, with_cuts(bench.cuts)))
    assert after.loss < 0.3 * before.loss
    for task in federation.tasks:
        assert after.pairs[task.name].concordant > 0.97 * after.pairs[task.name].comparable


def test_the_returned_loss_is_the_mean_of_the_last_epoch(bench: Bench, learnable: PatientBatch) -> None:
    one, many = bench.train(learnable)[1], bench.train(learnable, local_epochs=20)[1]
    federation = bench.federation()
    start = evaluate(bench.model(federation), learnable, Round(federation, with_cuts(bench.cuts))).loss / 60
    assert one == pytest.approx(start, rel=0.3)
    assert many < 0.7 * one


def test_the_same_seed_gives_the_same_weights(bench: Bench, learnable: PatientBatch) -> None:
    torch.manual_seed(11)
    first, first_loss = bench.train(learnable, seed=5, local_epochs=2)
    torch.manual_seed(12)
    again, again_loss = bench.train(learnable, seed=5, local_epochs=2)
    assert_equal(first.state_dict(), again.state_dict())
    assert first_loss == again_loss
    other, _ = bench.train(learnable, seed=6, local_epochs=2)
    assert not torch.equal(first.state_dict()["patient.weight"], other.state_dict()["patient.weight"])


def test_training_leaves_every_global_generator_alone(bench: Bench, learnable: PatientBatch) -> None:
    federation = bench.federation(contrastive_weight=0.5)
    model = bench.model(federation)
    before = (torch.get_rng_state(), random.getstate(), str(np.random.get_state()))
    train(model, learnable, Round(federation, with_cuts(bench.cuts)))
    evaluate(model, learnable, Round(federation, with_cuts(bench.cuts)))
    assert torch.equal(torch.get_rng_state(), before[0])
    assert (random.getstate(), str(np.random.get_state())) == before[1:]


def test_later_rounds_take_smaller_steps(bench: Bench, learnable: PatientBatch) -> None:
    first, middle, last = (bench.distance(learnable, round_) for round_ in (1, 6, 10))
    assert middle == pytest.approx(first / 2, rel=0.1)
    assert last == pytest.approx(first * 0.0245, rel=0.1), "half a cosine: (1 + cos(0.9 pi)) / 2"


def test_fedprox_holds_the_weights_near_the_global_ones(bench: Bench, learnable: PatientBatch) -> None:
    free = bench.distance(learnable, local_epochs=10)
    held = bench.distance(learnable, local_epochs=10, strategy="fedprox", proximal_mu=1e4)
    loose = bench.distance(learnable, local_epochs=10, strategy="fedprox", proximal_mu=0.0)
    assert held < 0.35 * free
    assert loose == free


def test_proximal_mu_is_for_fedprox_only(bench: Bench, learnable: PatientBatch) -> None:
    first, _ = bench.train(learnable, proximal_mu=0.0)
    other, _ = bench.train(learnable, proximal_mu=1e4)
    assert_equal(first.state_dict(), other.state_dict())


def test_a_branch_nobody_here_has_comes_back_as_it_came(bench: Bench, learnable: PatientBatch) -> None:
    """Weight decay included: its average at the coordinator must not drift."""
    learnable.observed["imaging"][:] = False
    model, _ = bench.train(learnable, weight_decay=0.5)
    start, end = bench.model(bench.federation()).state_dict(), model.state_dict()
    for name in start:
        assert torch.equal(start[name], end[name]) == name.startswith("branches.imaging.")


def test_every_patient_is_seen_once_an_epoch(bench: Bench, learnable: PatientBatch) -> None:
    seen: list[float] = []

    class Watched(PatientBatch):
        def select(self, patients: Tensor) -> PatientBatch:
            part = super().select(patients)
            seen.extend(part.values["rna"][:, 0].tolist())
            return part

    watched = Watched(learnable.values, learnable.observed, learnable.labels, learnable.labelled)
    bench.train(watched, local_epochs=3)
    assert sorted(seen) == sorted(3 * learnable.values["rna"][:, 0].tolist())
    assert seen[:60] != seen[60:120]


@pytest.mark.parametrize("patients", [1, 2, 3])
def test_a_handful_of_patients_can_be_trained_on(
    bench: Bench, learnable: PatientBatch, patients: int
) -> None:
    model, loss = bench.train(learnable.select(torch.arange(patients)), contrastive_weight=0.1)
    assert np.isfinite(loss)
    assert all(tensor.isfinite().all() for tensor in model.state_dict().values())


def test_a_loss_that_is_not_finite_is_a_refusal(bench: Bench, learnable: PatientBatch) -> None:
    federation = bench.federation()
    model = bench.model(federation)
    with torch.no_grad():
        model.patient.weight.fill_(torch.nan)
    with pytest.raises(Refusal) as raised:
        train(model, learnable, Round(federation, with_cuts(bench.cuts)))
    assert raised.value.code is RefusalCode.TRAINING_DIVERGED


def test_weights_that_are_not_finite_are_a_refusal_even_if_the_loss_was(
    bench: Bench, learnable: PatientBatch
) -> None:
    agreed = bench.federation(batch_size=60)
    wild = agreed.training.model_copy(update={"learning_rate": 1e37, "weight_decay": 100.0})
    agreed = agreed.model_copy(update={"training": wild})
    with pytest.raises(Refusal) as raised:
        train(bench.model(agreed), learnable, Round(agreed, with_cuts(bench.cuts)))
    assert raised.value.code is RefusalCode.TRAINING_DIVERGED


def test_the_contrastive_term_moves_the_loss_and_trains_its_predictor(
    bench: Bench, learnable: PatientBatch
) -> None:
    federation = bench.federation(contrastive_weight=1.0)
    start = bench.model(federation).state_dict()
    model, loss = bench.train(learnable, contrastive_weight=1.0)
    assert not torch.equal(model.state_dict()["predictor.weight"], start["predictor.weight"])
    _, heavier = bench.train(learnable, contrastive_weight=3.0, learning_rate=1e-9)
    _, lighter = bench.train(learnable, contrastive_weight=1.0, learning_rate=1e-9)
    assert 0 < (heavier - lighter) / 2 < 2, "the term itself is 1 - cosine"
    assert loss < lighter


def test_the_contrastive_term_brings_two_views_of_a_patient_together(
    bench: Bench, learnable: PatientBatch
) -> None:
    unlabelled = {name: torch.zeros_like(known) for name, known in learnable.labelled.items()}
    batch = replace(learnable, labelled=unlabelled)
    _, before = bench.train(batch, contrastive_weight=1.0)
    _, after = bench.train(batch, contrastive_weight=1.0, local_epochs=40)
    assert after < 0.5 * before


def test_split_is_a_partition_that_follows_its_seed() -> None:
    parts = split(50, Training(seed=3, calibration_fraction=0.1, test_fraction=0.2))
    assert sorted(row for part in parts for row in part.tolist()) == list(range(50))
    assert (len(parts.validation), len(parts.calibration), len(parts.test)) == (round(0.15 * 50), 5, 10)
    training, validation, calibration, nobody = split(50, Training(seed=3, calibration_fraction=0.1))
    assert len(nobody) == 0
    assert torch.equal(parts.calibration, calibration), "who tests is taken from those who train"
    same, less = split(50, Training(seed=3, calibration_fraction=0.1)), split(50, Training(seed=3))
    assert torch.equal(same.training, training)
    assert torch.equal(less.validation, validation), "who calibrates is taken from those who train"
    assert not torch.equal(split(50, Training(seed=4)).validation, validation)


@pytest.mark.parametrize("patients", [2, 3, 5])
@pytest.mark.parametrize("fraction", [0.01, 0.49])
def test_a_split_leaves_somebody_on_either_side(patients: int, fraction: float) -> None:
    training, validation, *_ = split(patients, Training(validation_fraction=fraction))
    assert len(training) >= 1
    assert len(validation) >= 1


def test_logits_come_in_order_whatever_the_size_of_the_parts(bench: Bench, learnable: PatientBatch) -> None:
    model = bench.model(bench.federation())
    whole, parts = logits(model, learnable), logits(model, learnable, size=7)
    for name, output in whole.items():
        torch.testing.assert_close(parts[name], output, atol=1e-6, rtol=1e-5)
        assert not output.requires_grad


def test_sums_of_two_sites_add_up(bench: Bench, make_batch: MakeBatch) -> None:
    federation = bench.federation()
    model = bench.model(federation)
    halves = [make_batch(30, seed) for seed in (1, 2)]
    first, second = (evaluate(model, half, Round(federation, with_cuts(bench.cuts))) for half in halves)
    whole = evaluate(model, concatenate(halves), Round(federation, with_cuts(bench.cuts)))
    for name in SUMS:
        assert first.named()[name] + second.named()[name] == pytest.approx(whole.named()[name], rel=1e-5)
    for task in federation.tasks:
        within = first.pairs[task.name].comparable + second.pairs[task.name].comparable
        assert 0 < within < whole.pairs[task.name].comparable, "pairs never cross sites"


def test_pairs_are_those_counted_one_by_one(bench: Bench, make_batch: MakeBatch) -> None:
    federation, batch = bench.federation(), make_batch(25, seed=5)
    batch.labels["survival"][:, 0] = batch.labels["survival"][:, 0].round()
    model = bench.model(federation)
    outputs, metrics = (
        logits(model, batch),
        evaluate(model, batch, Round(federation, with_cuts(bench.cuts))).named(),
    )
    counted = dict.fromkeys(metrics, 0.0)

    def count(task: str, worse: float, better: float) -> None:
        counted[f"comparable:{task}"] += 1
        counted[f"concordant:{task}"] += 1.0 if worse > better else 0.5 if worse == better else 0.0

    risk = -survival_curve(outputs["survival"]).sum(1)
    for a in range(25):
        for b in range(25):
            if batch.labelled["survival"][[a, b]].all():
                (time, event), (later, died) = batch.labels["survival"][[a, b]].tolist()
                if event and (time < later or (time == later and not died)):
                    count("survival", float(risk[a]), float(risk[b]))
            for label in range(2):
                if batch.labelled["toxicity"][[a, b], label].all() and (
                    batch.labels["toxicity"][a, label] > batch.labels["toxicity"][b, label]
                ):
                    score = outputs["toxicity"][:, label]
                    count("toxicity", float(score[a]), float(score[b]))
            for kind in range(3):
                is_kind = batch.labels["response"][:, 0] == kind
                if batch.labelled["response"][[a, b]].all() and is_kind[a] and not is_kind[b]:
                    score = outputs["response"].softmax(1)[:, kind]
                    count("response", float(score[a]), float(score[b]))
    for task in federation.tasks:
        for part in ("comparable", "concordant"):
            assert metrics[f"{part}:{task.name}"] == counted[f"{part}:{task.name}"]


def test_validation_sums_are_of_the_loss_of_each_patient(bench: Bench, make_batch: MakeBatch) -> None:
    federation, batch = bench.federation(), make_batch(8)
    model = bench.model(federation)
    alone = [
        evaluate(model, batch.select(torch.tensor([place])), Round(federation, with_cuts(bench.cuts))).loss
        for place in range(8)
    ]
    whole = evaluate(model, batch, Round(federation, with_cuts(bench.cuts)))
    assert whole.loss == pytest.approx(sum(alone), rel=1e-5)
    state = model.state_dict()
    model.load_state_dict(
        state | {"heads.response.bias": state["heads.response.bias"] + 1e6 * torch.eye(3)[0]}
    )
    extreme = evaluate(model, batch, Round(federation, with_cuts(bench.cuts)))
    assert whole.loss < extreme.loss <= 8 * LOSS_CEILING * len(federation.tasks)


def test_task_weights_do_not_flatter_the_validation_loss(bench: Bench, make_batch: MakeBatch) -> None:
    """A model that learns to ignore a hard task must not look better for it."""
    federation, batch = bench.federation(), make_batch(20)
    model = bench.model(federation)
    before = evaluate(model, batch, Round(federation, with_cuts(bench.cuts)))
    assert model.log_variance is not None
    with torch.no_grad():
        model.log_variance.fill_(5.0)
    assert evaluate(model, batch, Round(federation, with_cuts(bench.cuts))) == before


def test_patients_without_a_label_make_no_pairs_and_no_loss(bench: Bench, make_batch: MakeBatch) -> None:
    federation, batch = bench.federation(), make_batch(10)
    batch = replace(batch, labelled={name: torch.zeros_like(known) for name, known in batch.labelled.items()})
    metrics = evaluate(bench.model(federation), batch, Round(federation, with_cuts(bench.cuts)))
    assert metrics.patients == 10
    assert set(metrics.named().values()) == {0.0, 10.0}


def survivors(make_batch: MakeBatch, times: list[float], events: list[int]) -> PatientBatch:
    """Patients of whom nothing is labelled but these times and events."""
    batch = make_batch(len(times))
    labelled = {name: torch.zeros_like(known) for name, known in batch.labelled.items()}
    labelled["survival"][:] = True
    labels = {**batch.labels, "survival": torch.tensor([times, events], dtype=torch.float32).T}
    return replace(batch, labels=labels, labelled=labelled)


@pytest.mark.parametrize(
    ("times", "events", "least", "told"),
    [
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 0, 0, 0, 0, 0, 0, 0, 0], 2, 0),  # one event makes eight pairs
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [1, 1, 0, 0, 0, 0, 0, 0, 0], 2, 15),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 0, 0, 1, 1], 1, 1),
        ([1, 2, 3, 4, 5, 6, 7, 8, 9], [0, 0, 0, 0, 0, 0, 0, 1, 1], 2, 0),  # nobody outlives the last
        ([3, 3, 3, 3, 9], [1, 1, 1, 1, 0], 2, 0),  # all four pairs are with the same patient
        ([3, 3, 3, 3, 3], [1, 1, 1, 0, 0], 2, 6),  # at equal times a censored patient outlives an event
        ([3, 3, 3, 3, 3], [1, 1, 1, 0, 0], 3, 0),
    ],
)
def test_survival_pairs_of_few_patients_on_either_side_are_not_counted(
    bench: Bench, make_batch: MakeBatch, times: list[float], events: list[int], least: int, told: int
) -> None:
    federation, batch = bench.federation(), survivors(make_batch, times, events)
    metrics = evaluate(bench.model(federation), batch, Round(federation, with_cuts(bench.cuts)), least)
    assert metrics.pairs["survival"].comparable == told
    assert 0 <= metrics.pairs["survival"].concordant <= told


@pytest.mark.parametrize(
    ("classes", "least", "told"),
    [
        ([1] + [0] * 8, 2, 0),  # one responder among nine
        ([1] * 2 + [0] * 7, 2, 28),
        ([2] + [1] * 4 + [0] * 4, 2, 0),  # the rarest class could be told from the sum of all three
        ([2] * 2 + [1] * 3 + [0] * 4, 2, 52),
        ([0] * 9, 2, 0),
    ],
)
def test_class_pairs_with_few_patients_in_a_class_are_not_counted(
    bench: Bench, make_batch: MakeBatch, classes: list[int], least: int, told: int
) -> None:
    federation, batch = bench.federation(), make_batch(len(classes))
    batch.labels["response"][:, 0] = torch.tensor(classes, dtype=torch.float32)
    batch.labelled["response"][:] = True
    metrics = evaluate(bench.model(federation), batch, Round(federation, with_cuts(bench.cuts)), least)
    assert metrics.pairs["response"].comparable == told
    assert metrics.pairs["response"].concordant <= told


def test_a_label_that_few_have_adds_no_pairs_to_those_of_the_others(
    bench: Bench, make_batch: MakeBatch
) -> None:
    federation, batch = bench.federation(), make_batch(9)
    batch.labelled["toxicity"][:] = True
    batch.labels["toxicity"][:] = 0
    batch.labels["toxicity"][:1, 0] = 1
    batch.labels["toxicity"][:4, 1] = 1
    model = bench.model(federation)
    assert (
        evaluate(model, batch, Round(federation, with_cuts(bench.cuts))).pairs["toxicity"].comparable
        == 8 + 20
    )
    assert (
        evaluate(model, batch, Round(federation, with_cuts(bench.cuts)), 2).pairs["toxicity"].comparable == 20
    )
    assert (
        evaluate(model, batch, Round(federation, with_cuts(bench.cuts)), 5).pairs["toxicity"].comparable == 0
    )


def test_what_is_not_trained_has_no_part_in_the_length_of_a_step(
    bench: Bench, learnable: PatientBatch
) -> None:
    """After linear rounds scores stay, and their gradients would shorten every step of the others."""
    training: dict[str, Any] = {"linear_rounds": 2, "local_epochs": 3}
    federation = bench.federation(**training)
    model = bench.model(federation)
    for name in model.groups().linear:
        model.get_parameter(name).grad = torch.full_like(model.get_parameter(name), 1e6)
    train(model, learnable, Round(federation, with_cuts(bench.cuts), 3, 0))
    expected, _ = bench.train(learnable, 3, **training)
    assert_equal(model.state_dict(), expected.state_dict())
    assert all(weight.requires_grad for weight in model.parameters())
