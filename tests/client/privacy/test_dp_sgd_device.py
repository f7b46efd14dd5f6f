"""Private steps on any device: in as many parts as memory asks for, and without waiting for a GPU."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from client.privacy import dp_sgd
from client.privacy.clipping import PatientGradients
from client.privacy.dp_sgd import take_private_steps, train_privately
from client.training import memory
from client.training.device import CPU, Device
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.settings import Privacy
from common.families.patient_loss import patient_loss
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.privacy.planning import with_privacy
from common.records import moved
from tests.client.cuts import with_cuts

MakeBatch = Callable[..., PatientBatch]
SILENT = 1e-9
"""A noise multiplier that leaves the clipped sum to be seen."""


class Trainer:
    """Takes private steps from always the same weights."""

    def __init__(self, make: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> None:
        self._make, self._prior, self.cuts = make, prior, cuts

    def federation(self, model: dict[str, int] | None = None) -> Federation:
        sizes = {"node_width": 4, "pathway_width": 6, "width": 8, "heads": 2, "gat_layers": 1} | (model or {})
        terms = {"noise_multiplier": SILENT, "sampling_rate": 1.0, "expected_batch_size": 4.0, "steps": 2}
        privacy = Privacy.model_validate(terms | {"learning_rate": 0.5, "learn": "all"})
        return with_privacy(self._make(model=HierarchicalConfig.model_validate(sizes)), privacy)

    def model(self, federation: Federation, steepness: float = 0.1) -> HierarchicalMultimodalGNN:
        torch.manual_seed(0)
        model = HierarchicalMultimodalGNN(federation, self._prior)
        with torch.no_grad():
            for own in model.parameters():
                own.add_(steepness * torch.randn_like(own))
        return model

    def weights(self, batch: PatientBatch, device: Device = CPU, steepness: float = 0.1) -> Tensor:
        federation = self.federation()
        assert federation.privacy is not None
        model = self.model(federation, steepness).to(device.torch_device)
        train_privately(
            model,
            batch,
            Round(federation, with_cuts(self.cuts), device=device),
            federation.privacy,
        )
        return torch.cat([own.detach().flatten().cpu() for own in model.parameters()])


@pytest.fixture
def trainer(make_federation: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> Trainer:
    return Trainer(make_federation, prior, cuts)


def test_no_more_gradients_than_memory_has_room_for_are_computed_at_once(
    trainer: Trainer, make_batch: MakeBatch, monkeypatch: pytest.MonkeyPatch
) -> None:
    batch, model = make_batch(20), trainer.model(trainer.federation())
    whole = trainer.weights(batch)
    each = memory.PASSES * memory.kept_per_patient(model) + 3 * sum(own.nbytes for own in model.parameters())
    monkeypatch.setattr(memory, "free_bytes", lambda device: int(3.5 * each / memory.USED))
    seen: list[int] = []
    clipped_sum = PatientGradients.clipped_sum

    def watched(self: PatientGradients, loss: Any, patients: int, clip_norm: float) -> list[Tensor]:
        seen.append(patients)
        return clipped_sum(self, loss, patients, clip_norm)

    monkeypatch.setattr(PatientGradients, "clipped_sum", watched)
    parts = trainer.weights(batch)
    assert seen == [3, 3, 3, 3, 3, 3, 2] * 2
    torch.testing.assert_close(parts, whole, atol=1e-6, rtol=0)


def test_a_private_step_asks_the_device_for_no_number(trainer: Trainer, make_batch: MakeBatch) -> None:
    """On torch's device without numbers whatever asks for one fails; it has no products along edges."""
    federation = trainer.federation({"gat_layers": 0, "pathway_gat_layers": 0})
    assert federation.privacy is not None
    nowhere = Device(torch.device("meta"))
    model = trainer.model(federation).to(nowhere.torch_device)
    cuts = {name: moved(ends, nowhere.torch_device) for name, ends in trainer.cuts.items()}
    loss = partial(patient_loss, model, federation=federation, cuts=cuts)
    batch, round_ = (
        make_batch(20).to(nowhere.torch_device),
        Round(federation, with_cuts(cuts), device=nowhere),
    )
    take_private_steps(model, batch, round_, federation.privacy, loss)
    with pytest.raises(RuntimeError):
        float(next(model.parameters()).detach().sum())


@pytest.mark.cuda
@pytest.mark.parametrize("steepness", [0.1, 30.0])
def test_a_gpu_gives_the_weights_of_the_cpu(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device, steepness: float
) -> None:
    batch = make_batch(20)
    expected = trainer.weights(batch, steepness=steepness)
    found = trainer.weights(batch, Device(gpu), steepness)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.cuda
def test_a_gpu_leaves_out_a_patient_whose_gradient_is_not_finite(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device
) -> None:
    batch = make_batch(8)
    spoilt = make_batch(8)
    for name, known in spoilt.observed.items():
        spoilt.values[name][3] = torch.where(known[3], torch.inf, 0.0)
    others = torch.tensor([0, 1, 2, 4, 5, 6, 7])
    without = trainer.weights(batch.select(others), Device(gpu))
    torch.testing.assert_close(trainer.weights(spoilt, Device(gpu)), without, atol=1e-5, rtol=1e-4)


@pytest.mark.cuda
def test_a_private_step_on_a_gpu_waits_for_nothing(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = dp_sgd.noisy_step

    def watched(*arguments: Any) -> None:
        torch.cuda.set_sync_debug_mode("error")
        try:
            step(*arguments)
        finally:
            torch.cuda.set_sync_debug_mode("default")

    monkeypatch.setattr(dp_sgd, "noisy_step", watched)
    trainer.weights(make_batch(20), Device(gpu))


@pytest.mark.cuda
@pytest.mark.parametrize("steepness", [1.0, 10.0, 1e3, 1e6, 1e20])
def test_no_patient_moves_the_sum_by_more_than_the_clip_norm_on_a_gpu(
    trainer: Trainer,
    make_batch: MakeBatch,
    gpu: torch.device,
    monkeypatch: pytest.MonkeyPatch,
    steepness: float,
) -> None:
    sums: list[Tensor] = []

    def step(
        optimiser: Any, gradients: PatientGradients, drawn: PatientBatch, loss: Any, at_once: int
    ) -> None:
        found = gradients.clipped_sum(lambda: loss(drawn), len(drawn), 1.0)
        sums.append(torch.cat([own.double().flatten() for own in found]))

    monkeypatch.setattr(dp_sgd, "noisy_step", step)
    batch = make_batch(12, 5)
    batch.values["rna"][4] *= 50
    for patient in range(-1, 12):
        others = torch.tensor([place for place in range(12) if place != patient])
        trainer.weights(batch.select(others), Device(gpu), steepness)
    whole, *without = sums[::2]  # of two steps that move nothing
    assert all(float((whole - one).norm()) <= 1 + 1e-4 for one in without)
