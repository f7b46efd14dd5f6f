"""Training on any device: in parts where memory is short, in bfloat16, and without waiting for a GPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from client.site_folder.site_file import Precision
from client.training.adamw import AdamW
from client.training.device import CPU, Device, open_device
from client.training.evaluation import evaluate, logits
from client.training.local import train, train_epoch
from client.training.memory import kept_per_unit
from client.training.minibatches import divide, draw_minibatches
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
from tests.client.small_device import SmallDevice, room_for

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

    def gradient(
        self, batch: PatientBatch, device: Device = CPU, seed: int = 0, **settings: Any
    ) -> tuple[Tensor, float]:
        """The gradient of a round's last launched step, clipped, where no step before has moved a weight."""
        federation = self.federation(**{"learning_rate": STILL, **settings})
        model = self.model(federation).to(device.torch_device)
        round_ = Round(federation, with_cuts(self.cuts), seed=seed, device=device)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("client.training.local.replayed_step", lambda *given: None)
            loss = train(model, batch, round_)
        found = [own.grad.flatten() for own in model.parameters() if own.grad is not None]
        return torch.cat(found).cpu(), loss


@pytest.fixture
def trainer(make_federation: Make, prior: Prior, cuts: State) -> Trainer:
    return Trainer(make_federation, prior, cuts)


STILL = 1e-30
"""A learning rate at which no step moves a weight, so that the last step's gradient is that of the first weights."""


@pytest.mark.parametrize("at_once", [1, 3, 15])
@pytest.mark.parametrize(
    "settings", [{}, {"strategy": "fedprox", "proximal_mu": 5.0}, {"contrastive_weight": 0.5}]
)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_minibatch_in_parts_takes_the_same_steps(
    trainer: Trainer, make_batch: MakeBatch, at_once: int, settings: dict[str, Any], seed: int
) -> None:
    batch = make_batch(30)
    small = SmallDevice(room=room_for(trainer.model(trainer.federation()), at_once + 0.5))
    whole, loss = trainer.gradient(batch, seed=seed, **settings)
    parts, again = trainer.gradient(batch, small, seed=seed, **settings)
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=1e-4)
    assert float(whole.norm()) > 0.1
    assert again == pytest.approx(loss, rel=1e-5)


class Watched(HierarchicalMultimodalGNN):
    """A model that notes how many patients it encodes at once."""

    seen: list[int]

    def encode(self, part: PatientBatch) -> Encoding:
        self.seen.append(len(part))
        return super().encode(part)


def test_no_more_patients_than_memory_has_room_for_are_computed_at_once(
    trainer: Trainer, make_batch: MakeBatch
) -> None:
    batch, federation = make_batch(30), trainer.federation()
    expected = logits(trainer.model(federation), batch)
    small = SmallDevice(room=room_for(trainer.model(federation), 5.5))
    torch.manual_seed(0)
    model = Watched(federation, trainer.prior)
    model.seen = []
    outputs = logits(model, batch, device=small)
    train(model, batch, Round(federation, with_cuts(trainer.cuts), device=small))
    assert max(model.seen) == 5
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


def epoch_on(
    device: Device, trainer: Trainer, federation: Federation, batch: PatientBatch
) -> Callable[[], Tensor]:
    """Prepare everything on the device, and return the epoch alone; the batch stays where it is."""
    model = trainer.model(federation).to(device.torch_device).train()
    cuts = {name: moved(ends, device.torch_device) for name, ends in trainer.cuts.items()}
    loss = partial(patient_loss, model, federation=federation, cuts=cuts)
    parts = [divide(chosen, 4) for chosen in draw_minibatches(len(batch), 8)]
    optimiser = AdamW(model.parameters(), lr=0.1, weight_decay=0.1)
    return lambda: train_epoch(model, batch, parts, loss, None, optimiser, device)


def test_a_step_asks_the_device_for_no_number(trainer: Trainer, make_batch: MakeBatch) -> None:
    without_edges = {"gat_layers": 0, "pathway_gat_layers": 0}  # torch has no such products for that device
    model = without_edges | {"dropout": 0.2, "node_dropout": 0.2, "modality_dropout": 0.2}
    federation = trainer.federation(model, contrastive_weight=0.5, learn_task_weights=True)
    nowhere = Device(
        torch.device("meta")
    )  # torch's device without numbers, where whatever asks for one fails
    total = epoch_on(nowhere, trainer, federation, make_batch(20).to(nowhere.torch_device))()
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
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device
) -> None:
    batch, model = make_batch(40), {"gat_layers": 1}
    on_cpu, loss = trainer.gradient(batch, model=model)
    on_gpu, own_loss = trainer.gradient(batch, Device(gpu), model=model)
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
    assert told[1].loss == pytest.approx(told[0].loss, rel=1e-4)
    assert told[1].pairs == told[0].pairs


@pytest.mark.cuda
@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("resident", [True, False])
def test_a_step_on_a_gpu_waits_for_nothing(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device, precision: Precision, resident: bool
) -> None:
    model = {"gat_layers": 1, "dropout": 0.2, "node_dropout": 0.2, "modality_dropout": 0.2}
    federation = trainer.federation(model, contrastive_weight=0.5)
    batch = make_batch(40).to(gpu) if resident else make_batch(40)
    epoch = epoch_on(Device(gpu, precision), trainer, federation, batch)
    epoch()
    torch.cuda.set_sync_debug_mode("error")
    try:
        epoch()
    finally:
        torch.cuda.set_sync_debug_mode("default")


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
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device
) -> None:
    batch = make_batch(2000)
    federation = trainer.federation({"gat_layers": 1, "node_width": 64}, batch_size=2000)
    model = trainer.model(federation).to(gpu)
    train(
        model,
        batch.select(torch.arange(4)),
        Round(federation, with_cuts(trainer.cuts), device=Device(gpu)),
    )
    room = 300 * kept_per_unit(model)
    torch.cuda.reset_peak_memory_stats(gpu)
    before = torch.cuda.memory_allocated(gpu)
    small = SmallDevice(gpu, room=room)
    train(model, batch, Round(federation, with_cuts(trainer.cuts), device=small))
    assert torch.cuda.max_memory_allocated(gpu) - before < room
