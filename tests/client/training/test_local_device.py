"""Training on any device: in parts where memory is short, in bfloat16, and without waiting for a GPU."""

from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import pytest
import torch
from torch import Tensor

from client.training import local as training
from client.training import memory
from client.training.adamw import AdamW
from client.training.device import CPU, Device, open_device
from client.training.evaluation import evaluate, logits
from client.training.local import train
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.settings import Training
from common.families.patient_loss import patient_loss
from common.models.graphs import Prior
from common.models.hierarchical import Encoding, HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.records import moved
from tests.client.cuts import with_cuts

Make = Callable[..., Federation]
MakeBatch = Callable[..., PatientBatch]
State = dict[str, Tensor]
FIRM = {"dropout": 0.0, "node_dropout": 0.0, "modality_dropout": 0.0}
SMALL = {"node_width": 4, "pathway_width": 4, "width": 8, "heads": 2}


class Trainer:
    """Trains a fresh small model, always from the same weights."""

    def __init__(self, make_federation: Make, prior: Prior, cuts: State) -> None:
        self.make_federation, self.prior, self.cuts = make_federation, prior, cuts

    def federation(self, model: dict[str, Any] | None = None, **settings: object) -> Federation:
        changed = {"rounds": 10, "batch_size": 16, "learning_rate": 0.01} | settings
        return self.make_federation(
            model=HierarchicalConfig.model_validate(SMALL | FIRM | (model or {})),
            training=Training.model_validate(changed),
        )

    def model(self, federation: Federation) -> HierarchicalMultimodalGNN:
        torch.manual_seed(0)
        return HierarchicalMultimodalGNN(federation, self.prior)

    def train(
        self, batch: PatientBatch, device: Device = CPU, seed: int = 0, **settings: Any
    ) -> tuple[State, float]:
        federation = self.federation(**settings)
        model = self.model(federation).to(device.torch_device)
        loss = train(model, batch, Round(federation, with_cuts(self.cuts), seed=seed, device=device))
        return {name: own.cpu() for name, own in model.state_dict().items()}, loss


@pytest.fixture
def trainer(make_federation: Make, prior: Prior, cuts: State) -> Trainer:
    return Trainer(make_federation, prior, cuts)


class Gradients(AdamW):
    """An optimiser that moves nothing, and keeps the gradients of every step."""

    seen: ClassVar[list[Tensor]]

    def step(self) -> None:
        self.seen.append(torch.cat([own.grad.flatten() for own in self._parameters if own.grad is not None]))


@pytest.fixture
def gradients(monkeypatch: pytest.MonkeyPatch) -> list[Tensor]:
    """The gradients of every step from here on."""
    Gradients.seen = []
    monkeypatch.setattr(training, "AdamW", Gradients)
    return Gradients.seen


@pytest.mark.parametrize("at_once", [1, 3, 15])
@pytest.mark.parametrize(
    "settings", [{}, {"strategy": "fedprox", "proximal_mu": 5.0}, {"contrastive_weight": 0.5}]
)
def test_a_minibatch_in_parts_takes_the_same_steps(
    trainer: Trainer,
    make_batch: MakeBatch,
    monkeypatch: pytest.MonkeyPatch,
    gradients: list[Tensor],
    at_once: int,
    settings: dict[str, Any],
) -> None:
    batch = make_batch(30)
    _, loss = trainer.train(batch, **settings)
    monkeypatch.setattr(training, "patients_at_once", lambda *_: at_once)
    _, again = trainer.train(batch, **settings)
    whole, parts = gradients[:2], gradients[2:]
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)
    assert float(whole[0].norm()) > 0.1
    assert again == pytest.approx(loss, rel=1e-5)


def test_no_more_patients_than_memory_has_room_for_are_computed_at_once(
    trainer: Trainer, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch, gradients: list[Tensor]
) -> None:
    batch, federation = make_batch(30), trainer.federation()
    trainer.train(batch)
    expected = logits(trainer.model(federation), batch)
    room = int(5.5 * memory.PASSES / memory.USED * memory.kept_per_patient(trainer.model(federation)))
    seen: list[int] = []
    encode = HierarchicalMultimodalGNN.encode

    def watched(model: HierarchicalMultimodalGNN, part: PatientBatch) -> Encoding:
        seen.append(len(part))
        return encode(model, part)

    monkeypatch.setattr(memory, "free_bytes", lambda device: room)
    monkeypatch.setattr(HierarchicalMultimodalGNN, "encode", watched)
    trainer.train(batch)
    outputs = logits(trainer.model(federation), batch)
    assert max(seen) == 5
    torch.testing.assert_close(gradients[2:], gradients[:2], atol=1e-6, rtol=1e-4)
    for name, own in outputs.items():
        torch.testing.assert_close(own, expected[name])


def test_bfloat16_is_for_products_alone_and_learns_the_same(trainer: Trainer, make_batch: MakeBatch) -> None:
    batch = make_batch(40)
    coarse = Device(precision="bfloat16")
    exact, exact_loss = trainer.train(batch, local_epochs=10)
    rough, rough_loss = trainer.train(batch, coarse, local_epochs=10)
    assert {own.dtype for own in rough.values()} == {torch.float32}
    assert any(not torch.equal(rough[name], own) for name, own in exact.items())
    assert rough_loss == pytest.approx(exact_loss, rel=0.02)
    _, start = trainer.train(batch, coarse)
    assert rough_loss < start
    federation = trainer.federation()
    told = [
        evaluate(
            trainer.model(federation),
            batch,
            Round(federation, with_cuts(trainer.cuts), device=on),
        )
        for on in (CPU, coarse)
    ]
    assert told[0] == told[1], "evaluation is exact in any case"


def on_no_device(trainer: Trainer, federation: Federation, batch: PatientBatch) -> Tensor:
    """An epoch on torch's device without numbers, where whatever asks for one fails."""
    nowhere = Device(torch.device("meta"))
    model = trainer.model(federation).to(nowhere.torch_device)
    cuts = {name: moved(ends, nowhere.torch_device) for name, ends in trainer.cuts.items()}
    loss = partial(patient_loss, model, federation=federation, cuts=cuts)
    parts = [training._divided(chosen, 4) for chosen in training._minibatches(len(batch), 8)]
    optimiser = AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    return training._epoch(model, batch.to(nowhere.torch_device), parts, loss, None, optimiser, nowhere)


def test_a_step_asks_the_device_for_no_number(trainer: Trainer, make_batch: MakeBatch) -> None:
    without_edges = {"gat_layers": 0, "pathway_gat_layers": 0}  # torch has no such products for that device
    model = without_edges | {"dropout": 0.2, "node_dropout": 0.2, "modality_dropout": 0.2}
    federation = trainer.federation(model, contrastive_weight=0.5, learn_task_weights=True)
    total = on_no_device(trainer, federation, make_batch(20))
    assert total.device.type == "meta"
    with pytest.raises(RuntimeError):
        float(total)


def test_attention_asks_the_device_for_no_number(trainer: Trainer, make_batch: MakeBatch) -> None:
    federation = trainer.federation({"gat_layers": 1})
    model = trainer.model(federation).to("meta")
    with torch.no_grad():
        outputs = model(make_batch(6).to(torch.device("meta")))
    assert outputs["survival"].shape == (6, 4)


@pytest.mark.cuda
def test_a_gpu_gives_the_gradients_of_the_cpu(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device, gradients: list[Tensor]
) -> None:
    batch, model = make_batch(40), {"gat_layers": 1}
    _, loss = trainer.train(batch, model=model)
    _, own_loss = trainer.train(batch, Device(gpu), model=model)
    on_cpu, on_gpu = gradients[:3], [own.cpu() for own in gradients[3:]]
    torch.testing.assert_close(on_gpu, on_cpu, atol=1e-5, rtol=1e-3)
    assert own_loss == pytest.approx(loss, rel=1e-4)
    federation = trainer.federation()
    told = [
        evaluate(
            trainer.model(federation).to(on.torch_device),
            batch,
            Round(federation, with_cuts(trainer.cuts), device=on),
        )
        for on in (CPU, Device(gpu))
    ]
    assert told[1] == pytest.approx(told[0], rel=1e-4)


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("resident", [memory.RESIDENT, 0.0])
def test_a_step_on_a_gpu_waits_for_nothing(
    trainer: Trainer,
    make_batch: MakeBatch,
    gpu: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    precision: Any,
    resident: float,
) -> None:
    epoch = training._epoch

    def watched(*arguments: Any) -> Tensor:
        torch.cuda.set_sync_debug_mode("error")
        try:
            return epoch(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(memory, "RESIDENT", resident)
    monkeypatch.setattr(training, "_epoch", watched)
    model = {"gat_layers": 1, "dropout": 0.2, "node_dropout": 0.2, "modality_dropout": 0.2}
    trainer.train(make_batch(40), Device(gpu, precision), model=model, local_epochs=2, contrastive_weight=0.5)


@pytest.mark.cuda
def test_a_gpu_repeats_itself_if_asked_to(trainer: Trainer, make_batch: MakeBatch, gpu: torch.device) -> None:
    device = open_device(str(gpu), "a test", deterministic=True)
    model = {"gat_layers": 1, "dropout": 0.2, "node_dropout": 0.2, "modality_dropout": 0.2}
    first, again = (trainer.train(make_batch(40), device, model=model, local_epochs=3)[0] for _ in range(2))
    assert all(torch.equal(own, again[name]) for name, own in first.items())
    before = torch.cuda.get_rng_state(gpu)
    other, _ = trainer.train(make_batch(40), device, seed=1, model=model, local_epochs=3)
    assert any(not torch.equal(own, other[name]) for name, own in first.items())
    assert torch.equal(torch.cuda.get_rng_state(gpu), before)


@pytest.mark.cuda
def test_a_step_on_a_gpu_stays_within_what_is_free(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch = make_batch(2000)
    federation = trainer.federation({"gat_layers": 1, "node_width": 64}, batch_size=2000)
    model = trainer.model(federation).to(gpu)
    train(
        model,
        batch.select(torch.arange(4)),
        Round(federation, with_cuts(trainer.cuts), device=Device(gpu)),
    )
    room = 300 * memory.kept_per_patient(model)
    monkeypatch.setattr(memory, "free_bytes", lambda device: room)
    torch.cuda.reset_peak_memory_stats(gpu)
    before = torch.cuda.memory_allocated(gpu)
    train(model, batch, Round(federation, with_cuts(trainer.cuts), device=Device(gpu)))
    assert torch.cuda.max_memory_allocated(gpu) - before < room
