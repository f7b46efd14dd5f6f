"""Training by the static step is training as ever."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

from client.training.device import Device, open_device
from client.training.local import train
from client.training.replay.capture import ReplayedStep
from client.training.replay.training import replayed_step, train_by_replay
from common.agreement.federation import Federation
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from tests.client.training.replay_bench import ReplayBench, doubled

MakeBatch = Callable[..., PatientBatch]


@pytest.fixture
def bench(make_federation: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> ReplayBench:
    return ReplayBench(make_federation, prior, cuts)


@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ({}, {}),
        ({"gat_layers": 1, "fusion_layers": 2}, {"local_epochs": 2}),
        ({}, {"contrastive_weight": 0.5, "learn_task_weights": True}),
        ({}, {"strategy": "fedprox", "proximal_mu": 5.0, "local_epochs": 2}),
        ({}, {"batch_size": 4, "weight_decay": 0.5}),
    ],
)
def test_weights_and_losses_are_those_of_launched_steps(
    bench: ReplayBench, make_batch: MakeBatch, model: dict[str, Any], settings: dict[str, Any]
) -> None:
    """25 patients in minibatches of 13 and 12, or of 4 and 3, of whom some lack a modality."""
    batch, federation = doubled(make_batch(25)), bench.federation(model, **settings)
    weights, loss, first = bench.by_steps(batch, federation)
    expected, own_loss, own_first = bench.by_launches(batch, federation)
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, atol=1e-7, rtol=1e-6, msg=name)
    assert loss == pytest.approx(own_loss, rel=1e-7)
    torch.testing.assert_close(first.double(), own_first, atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize("strategy", [{}, {"strategy": "fedprox", "proximal_mu": 5.0}])
def test_a_branch_rests_with_the_minibatches_that_lack_it(
    bench: ReplayBench, make_batch: MakeBatch, strategy: dict[str, Any]
) -> None:
    """Weight decay and proximal term included, for the whole round or for single steps."""
    batch = doubled(make_batch(25))
    batch.observed["protein"][:] = False
    batch.observed["imaging"][3:] = False
    federation = bench.federation(weight_decay=0.5, local_epochs=3, batch_size=4, **strategy)
    weights, _, _ = bench.by_steps(batch, federation)
    expected, _, _ = bench.by_launches(batch, federation)
    start = bench.model(federation).state_dict()
    for name, weight in expected.items():
        torch.testing.assert_close(weights[name], weight, atol=1e-7, rtol=1e-6, msg=name)
        assert torch.equal(weights[name], start[name]) == name.startswith("branches.protein.")


def test_a_second_round_begins_anew(bench: ReplayBench, make_batch: MakeBatch) -> None:
    federation = bench.federation()
    model, round_ = bench.model(federation), bench.round(federation)
    start = {name: own.clone() for name, own in model.state_dict().items()}
    batches = [doubled(make_batch(patients, seed=seed)) for seed, patients in enumerate((25, 9))]
    step = bench.step(model, batches[0], round_, 16)
    for batch in batches:
        model.load_state_dict(start)
        train_by_replay(ReplayedStep(step, step.run), model, batch, round_, 0.01)
    expected, _, _ = bench.by_launches(batches[1], federation)
    for name, weight in expected.items():
        torch.testing.assert_close(model.state_dict()[name], weight, atol=1e-7, rtol=1e-6, msg=name)


def test_without_a_gpu_nothing_is_replayed(bench: ReplayBench, make_batch: MakeBatch) -> None:
    federation = bench.federation()
    assert replayed_step(bench.model(federation), make_batch(9), bench.round(federation), 100) is None


DROPPING = {"gat_layers": 1, "dropout": 0.2, "node_dropout": 0.2, "modality_dropout": 0.2}


def trained(
    bench: ReplayBench,
    batch: PatientBatch,
    device: Device,
    model: dict[str, Any],
    seed: int = 0,
    **settings: Any,
) -> tuple[dict[str, Tensor], float]:
    federation = bench.federation(model, **settings)
    own = bench.model(federation, torch.float32).to(device.torch_device)
    loss = train(own, batch, bench.round(federation, device, seed))
    return {name: weight.cpu() for name, weight in own.state_dict().items()}, loss


def replays(bench: ReplayBench, batch: PatientBatch, device: Device, model: dict[str, Any]) -> bool:
    federation = bench.federation(model)
    own = bench.model(federation, torch.float32).to(device.torch_device)
    return replayed_step(own, batch, bench.round(federation, device), 1000) is not None


@pytest.mark.cuda
@pytest.mark.parametrize("model", [{}, {"gat_layers": 1}, DROPPING])
def test_a_gpu_replays_the_step(
    bench: ReplayBench, make_batch: MakeBatch, gpu: torch.device, model: dict[str, Any]
) -> None:
    assert replays(bench, make_batch(40), Device(gpu), model)


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("model", "settings"),
    [
        ({}, {"local_epochs": 3}),
        ({"gat_layers": 1}, {"contrastive_weight": 0.5}),
        ({}, {"strategy": "fedprox", "proximal_mu": 5.0}),
        ({}, {"batch_size": 4, "weight_decay": 0.5}),
    ],
)
def test_replayed_training_is_that_of_the_cpu(
    bench: ReplayBench,
    make_batch: MakeBatch,
    gpu: torch.device,
    model: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    batch = make_batch(40)
    batch.observed["protein"][:] = False
    weights, loss = trained(bench, batch, Device(gpu), model, **settings)
    federation = bench.federation(model, **settings)
    start = bench.model(federation, torch.float32).state_dict()
    own = bench.model(federation, torch.float32)
    own_loss = train(own, batch, bench.round(federation))
    assert loss == pytest.approx(own_loss, rel=1e-4)
    apart = {}
    for name, weight in own.state_dict().items():
        if name.endswith("key.bias"):  # adds the same to all scores of a softmax: its gradient is rounding
            continue
        moved, off = float((weight - start[name]).norm()), float((weights[name] - weight).norm())
        if off > 0.1 * moved + 1e-5:  # Adam divides a small gradient by itself, rounding included
            apart[name] = off, moved
    assert not apart
    assert all(
        torch.equal(weights[name], start[name]) for name in start if name.startswith("branches.protein.")
    )


@pytest.mark.cuda
@pytest.mark.parametrize("settings", [{}, {"contrastive_weight": 0.5}])
def test_branches_side_by_side_give_the_same_to_the_bit(
    bench: ReplayBench,
    make_batch: MakeBatch,
    gpu: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
) -> None:
    batch, model = make_batch(40), DROPPING | {"node_width": 64}
    beside = [trained(bench, batch, Device(gpu), model, local_epochs=5, **settings) for _ in range(3)]
    monkeypatch.setattr("common.models.static.patient_form.run_side_by_side", lambda branches: None)
    weights, loss = trained(bench, batch, Device(gpu), model, local_epochs=5, **settings)
    for own, own_loss in beside:
        assert own_loss == loss
        assert all(torch.equal(own[name], weight) for name, weight in weights.items())


@pytest.mark.cuda
def test_replayed_dropout_follows_the_seed(
    bench: ReplayBench, make_batch: MakeBatch, gpu: torch.device
) -> None:
    batch, device = make_batch(40), open_device(str(gpu), "a test", deterministic=True)
    before = torch.cuda.get_rng_state(gpu)
    first, again, other = (
        trained(bench, batch, device, DROPPING, seed, local_epochs=3)[0] for seed in (0, 0, 1)
    )
    assert all(torch.equal(own, again[name]) for name, own in first.items())
    assert any(not torch.equal(own, other[name]) for name, own in first.items())
    assert torch.equal(torch.cuda.get_rng_state(gpu), before)


@pytest.mark.cuda
def test_dropout_differs_from_step_to_step(
    bench: ReplayBench, make_batch: MakeBatch, gpu: torch.device
) -> None:
    federation = bench.federation(DROPPING)
    own = bench.model(federation, torch.float32).to(gpu)
    for head in own.heads.values():
        assert isinstance(head, torch.nn.Linear)
        torch.nn.init.normal_(head.weight)  # at first 0, and no loss depends on what is dropped
    round_ = bench.round(federation, Device(gpu))
    replayed = replayed_step(own, make_batch(16), round_, 1000)
    assert replayed is not None
    step = replayed.step
    step.begin(own, 0.0, round_)

    def losses(seed: int) -> list[Tensor]:
        drawn = []
        with Device(gpu).seeded(seed):
            for _ in range(3):
                replayed.run()
                drawn.append(step.losses.clone())
        return drawn

    first, again, other = losses(0), losses(0), losses(1)
    for number in range(3):
        assert torch.equal(first[number], again[number])
        assert not torch.equal(first[number], other[number])
        assert not torch.equal(first[number], first[number - 1])


@pytest.mark.cuda
def test_graphs_too_large_for_dense_products_are_replayed(
    bench: ReplayBench, make_batch: MakeBatch, gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, model = make_batch(40), {"gat_layers": 2}
    dense, loss = trained(bench, batch, Device(gpu), model)
    monkeypatch.setattr("common.models.static.dense_layers.LARGEST", 0)
    assert replays(bench, batch, Device(gpu), model)
    sparse, own_loss = trained(bench, batch, Device(gpu), model)
    assert loss == pytest.approx(own_loss, rel=1e-5)
    for name, weight in dense.items():
        torch.testing.assert_close(sparse[name], weight, atol=2e-3, rtol=1e-2, msg=name)


@pytest.mark.cuda
def test_a_replayed_round_in_bfloat16_learns(
    bench: ReplayBench, make_batch: MakeBatch, gpu: torch.device
) -> None:
    batch = make_batch(40)
    exact, loss = trained(bench, batch, Device(gpu), {}, local_epochs=5)
    rough, rough_loss = trained(bench, batch, Device(gpu, "bfloat16"), {}, local_epochs=5)
    assert rough_loss == pytest.approx(loss, rel=0.02)
    assert any(not torch.equal(rough[name], own) for name, own in exact.items())


class Wrapped(HierarchicalMultimodalGNN):
    """A model of somebody else."""


@pytest.mark.cuda
def test_a_model_without_a_static_form_is_trained_by_launches(
    bench: ReplayBench, make_batch: MakeBatch, gpu: torch.device
) -> None:
    federation = bench.federation()
    torch.manual_seed(0)
    own = Wrapped(federation, bench.prior).to(gpu)
    round_ = bench.round(federation, Device(gpu))
    assert replayed_step(own, make_batch(9), round_, 1000) is None
    assert train(own, make_batch(9), round_) > 0
