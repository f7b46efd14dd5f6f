"""Private steps on any device: in as many parts as memory asks for, and without waiting for a GPU."""

from collections.abc import Callable
from functools import partial

import pytest
import torch
from torch import Tensor

from client.privacy.arithmetic import LARGEST, steady_slot
from client.privacy.clipping import patient_gradients
from client.privacy.dp_sgd import train_privately
from client.privacy.slots import Slot, clipped_sums
from client.training.device import CPU, Device
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.model_config import HierarchicalConfig
from common.agreement.privacy_settings import Privacy
from common.families.patient_loss import patient_loss
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.patients.guarantee import made_up_patients
from common.privacy.planning import with_privacy
from common.records import moved
from tests.attacks.attack_table import AttackRow
from tests.client.cuts import with_cuts
from tests.client.privacy.rounding_attack import agreement, craft, thresholds
from tests.client.privacy.watched_steps import watching_steps
from tests.client.small_device import SmallDevice, room_for

MakeBatch = Callable[..., PatientBatch]
SILENT = 1e-9
"""A noise multiplier that leaves the clipped sum to be seen."""


class Trainer:
    """Takes private steps from always the same weights."""

    def __init__(self, make: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> None:
        self._make, self._prior, self.cuts = make, prior, cuts

    def federation(self, model: dict[str, int] | None = None) -> Federation:
        sizes = {"node_width": 4, "pathway_width": 6, "width": 8, "heads": 2, "gat_layers": 1} | (model or {})
        terms = {"noise_multiplier": 1.0, "sampling_rate": 1.0, "expected_batch_size": 4.0, "steps": 2}
        privacy = Privacy.model_validate(terms | {"learning_rate": 0.5, "learn": "all"})
        privacy = privacy.model_copy(update={"noise_multiplier": SILENT})  # less than any file may have
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

    def computed(self, batch: PatientBatch, device: Device) -> list[int]:
        """Number of rows of every pass of the model in a round that is not its search for a slot."""
        federation, seen = self.federation(), list[int]()
        assert federation.privacy is not None
        model, cuts = self.model(federation), self.cuts
        round_ = Round(federation, with_cuts(cuts), device=device)
        train_privately(model, batch, round_, federation.privacy)  # the search is done
        noting = model.cross.register_forward_pre_hook(lambda _, inputs: seen.append(len(inputs[0])))
        train_privately(model, batch, round_, federation.privacy)
        noting.remove()
        return seen


@pytest.fixture
def trainer(make_federation: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> Trainer:
    return Trainer(make_federation, prior, cuts)


@pytest.mark.parametrize(("patients", "slots"), [(1.5, 20), (3.5, 10), (7.5, 5), (100.0, 1)])
def test_no_more_gradients_than_memory_has_room_for_are_computed_at_once(
    trainer: Trainer, make_batch: MakeBatch, patients: float, slots: int
) -> None:
    batch, model = make_batch(20), trainer.model(trainer.federation())
    whole = trainer.weights(batch)
    small = SmallDevice(room=room_for(model, patients, private=True))
    with watching_steps() as steps:
        weights = trainer.weights(batch, small)
    assert len(steps) == 2
    torch.testing.assert_close(weights, whole, atol=1e-6, rtol=0)
    seen = trainer.computed(batch, small)
    assert len(seen) == 2 * slots
    assert set(seen) == {LARGEST if slots == 1 else 20 // slots}


def test_a_clipped_sum_asks_the_device_for_no_number(trainer: Trainer, make_batch: MakeBatch) -> None:
    """On torch's device without numbers whatever asks for one fails; it has no products along edges."""
    federation = trainer.federation({"gat_layers": 0, "pathway_gat_layers": 0})
    assert federation.privacy is not None
    nowhere = Device(torch.device("meta"))
    model = trainer.model(federation).to(nowhere.torch_device)
    cuts = {name: moved(ends, nowhere.torch_device) for name, ends in trainer.cuts.items()}
    loss = partial(patient_loss, model, federation=federation, cuts=cuts)
    batch = make_batch(20).to(nowhere.torch_device)
    with patient_gradients(model.train()) as gradients:
        sums = clipped_sums(gradients, batch, loss, Slot(8, 4), federation.privacy.clip_norm)
    with pytest.raises(RuntimeError):
        float(sums[0].sum())


@pytest.mark.cuda
@pytest.mark.parametrize(
    ("steepness", "tolerance"), [(0.1, 1e-4), (30.0, 1e-2)]
)  # steep weights amplify rounding
def test_a_gpu_gives_the_weights_of_the_cpu(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device, steepness: float, tolerance: float
) -> None:
    batch = make_batch(20)
    expected = trainer.weights(batch, steepness=steepness)
    found = trainer.weights(batch, Device(gpu), steepness)
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=tolerance)


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
def test_a_clipped_sum_on_a_gpu_waits_for_nothing(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device
) -> None:
    federation, batch = trainer.federation(), make_batch(20)
    privacy = federation.privacy
    assert privacy is not None
    model = trainer.model(federation).to(gpu).train()
    cuts = {name: moved(ends, gpu) for name, ends in trainer.cuts.items()}
    loss = partial(patient_loss, model, federation=federation, cuts=cuts)
    with patient_gradients(model) as gradients:
        for mode in ("default", "error"):
            torch.cuda.set_sync_debug_mode(mode)
            try:
                clipped_sums(gradients, batch, loss, Slot(8, 4), privacy.clip_norm)
            finally:
                torch.cuda.set_sync_debug_mode("default")


@pytest.mark.cuda
@pytest.mark.parametrize("steepness", [1.0, 10.0, 1e3, 1e6, 1e20])
def test_no_patient_moves_the_sum_by_more_than_the_clip_norm_on_a_gpu(
    trainer: Trainer, make_batch: MakeBatch, gpu: torch.device, steepness: float
) -> None:
    batch = make_batch(12, 5)
    batch.values["rna"][4] *= 50
    sums: list[Tensor] = []
    for patient in range(-1, 12):
        others = torch.tensor([index for index in range(12) if index != patient])
        with watching_steps() as steps:
            trainer.weights(batch.select(others), Device(gpu), steepness)
        sums.append(steps[0])  # the second step begins from moved weights
    whole, *without = sums
    assert all(float((whole - other).norm()) <= 1 + 1e-4 for other in without)


@pytest.mark.cuda
@pytest.mark.attack
@pytest.mark.parametrize("learn", ["linear", "all"])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
def test_weights_that_make_rounding_decide_move_nobody_else_on_a_gpu(
    gpu: torch.device, dtype: torch.dtype, learn: str, attack_row: AttackRow
) -> None:
    worst, unslotted, sizes = 0.0, 0.0, list[int]()
    for genes in (100, 1000):
        federation = agreement(genes, learn)
        for rows in thresholds(federation, dtype, 140, gpu):
            attack = craft(federation, rows, dtype, gpu)
            if attack is not None:
                sizes.append(rows)
                worst = max(worst, *(attack.sensitivity(patients) for patients in (rows, rows + 32)))
                unslotted = max(unslotted, attack.sensitivity(rows, in_slots=False))
    attack_row(
        f"rounding by the number of rows on a GPU ({learn}, {str(dtype)[6:]})",
        "<= 1.0001 clip norms",
        f"{worst:.6f} at {len(sizes)} thresholds; all at once {unslotted:.1f}",
    )
    assert worst <= 1.0001


@pytest.mark.cuda
def test_a_gpu_has_a_slot_for_many(trainer: Trainer, gpu: torch.device) -> None:
    federation = trainer.federation()
    model = trainer.model(federation).to(gpu).train()
    cuts = {name: moved(ends, gpu) for name, ends in trainer.cuts.items()}
    loss = partial(patient_loss, model, federation=federation, cuts=cuts)
    assert steady_slot(model, loss, False, made_up_patients(federation, LARGEST), LARGEST).units == LARGEST
