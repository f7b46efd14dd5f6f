"""Number of patients computed at once within the memory there is."""

import gc
from collections.abc import Callable
from dataclasses import replace
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import pytest
import torch

from client.training import memory
from client.training.device import CPU
from client.training.local import train
from client.training.memory import placed, units_at_once
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.modalities import Modality
from common.agreement.model_config import HierarchicalConfig
from common.agreement.settings import Participant, Training
from common.models.graphs import Prior, topology
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.batch import PatientBatch
from common.tasks.survival import SurvivalTask
from tests.client.cuts import with_cuts
from tests.client.small_device import SmallDevice, room_for

MakeBatch = Callable[..., PatientBatch]
MIB = 2**20


@pytest.fixture
def model(federation: Federation, prior: Prior) -> HierarchicalMultimodalGNN:
    return HierarchicalMultimodalGNN(federation, prior)


def test_a_step_gets_the_patients_that_there_is_room_for(model: HierarchicalMultimodalGNN) -> None:
    devices = [SmallDevice(room=room_for(model, patients)) for patients in (0, 0.5, 7.5, 1e6)]
    counts = [units_at_once(model, device) for device in devices]
    assert counts == [1, 1, 7, pytest.approx(1e6, rel=1e-3)]
    device = SmallDevice(room=room_for(model, 100))
    at_once = [units_at_once(model, device, private=private) for private in (True, False)]
    assert at_once[0] < at_once[1], "gradients per patient"


def test_looking_at_a_model_leaves_no_trace(model: HierarchicalMultimodalGNN) -> None:
    model.train()
    before, weights = torch.get_rng_state(), {n: own.clone() for n, own in model.state_dict().items()}
    with torch.no_grad():
        assert units_at_once(model, CPU) > 1
    assert model.training
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(own, weights[name]) for name, own in model.state_dict().items())
    assert all(own.grad is None for own in model.parameters())


def test_a_patient_of_a_wider_model_in_float64_takes_more(
    federation: Federation, prior: Prior, model: HierarchicalMultimodalGNN
) -> None:
    single = memory.kept_per_unit(model)
    wide = federation.model_copy(
        update={"model": HierarchicalConfig(node_width=32, pathway_width=32, width=32)}
    )
    assert memory.kept_per_unit(HierarchicalMultimodalGNN(wide, prior)) > 2 * single
    assert memory.kept_per_unit(model.double()) > 1.5 * single
    assert memory.kept_per_unit(model.float()) == single


def test_processes_share_what_is_free() -> None:
    alone = CPU.free_bytes()
    assert alone > 10 * MIB
    assert replace(CPU, sharing=4).free_bytes() == pytest.approx(alone / 4, rel=0.1)


def test_a_cohort_stays_where_it_is_if_its_device_has_no_room(make_batch: MakeBatch) -> None:
    batch, nowhere = make_batch(6), torch.device("meta")
    room = int(batch.size / memory.RESIDENT)
    assert placed(batch, SmallDevice(nowhere, room=room + 1)).device == nowhere
    assert placed(batch, SmallDevice(nowhere, room=room - 4)) is batch


def large() -> tuple[Federation, Prior]:
    """Genes in a graph with attention between them, and imaging features: megabytes per patient."""
    genes, features = (
        tuple(f"G{number}" for number in range(1500)),
        tuple(f"I{number}" for number in range(2000)),
    )
    drawn = torch.randint(1500, (12_000, 2), generator=torch.Generator().manual_seed(0)).tolist()
    edges = [(one, other) for one, other in drawn if one != other]
    federation = Federation(
        name="large",
        modalities=(
            Modality(name="rna", node="gene", columns=genes),
            Modality(name="imaging", node="imaging", columns=features),
        ),
        tasks=(SurvivalTask(name="survival", time="t", event="e", unit="months", longest=100, bins=4),),
        model=HierarchicalConfig(node_width=16, width=16, gat_layers=1, node_dropout=0.2),
        training=Training(batch_size=4096),
        participants=(Participant(name="one"),),
    )
    return federation, Prior({"rna": topology(1500, edges), "imaging": topology(2000, [])}, {}, {})


def patients(federation: Federation, count: int) -> PatientBatch:
    values = {each.name: torch.randn(count, len(each.nodes)) for each in federation.modalities}
    labels = torch.tensor([3.0, 1.0]).repeat(count, 1)
    observed = {name: torch.ones_like(own).bool() for name, own in values.items()}
    return PatientBatch(values, observed, {"survival": labels}, {"survival": torch.ones_like(labels).bool()})


def resident(line: str) -> int:
    """Memory of this process: `VmRSS` at present, or `VmHWM` at most."""
    told = Path("/proc/self/status").read_text().split(f"{line}:")[1]
    return int(told.split()[0]) * 1024


def measure(pipe: "Connection[object, object]", room: int | None) -> None:
    """Memory of training on a large minibatch beyond that of the patients."""
    torch.set_num_threads(1)
    federation, prior = large()
    cuts, model = (
        {"survival": torch.tensor([1.0, 2.0, 4.0, 8.0])},
        HierarchicalMultimodalGNN(federation, prior),
    )
    batch = patients(federation, 128)
    train(model, batch.select(torch.arange(2)), Round(federation, with_cuts(cuts)))
    device = CPU if room is None else SmallDevice(room=room)
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")  # the most is counted from here
    before = resident("VmRSS")
    train(model, batch, Round(federation, with_cuts(cuts), device=device))
    pipe.send(resident("VmHWM") - before)


def peak(room: int | None) -> int:
    spawn = get_context("spawn")
    ours, theirs = spawn.Pipe(duplex=False)
    process = spawn.Process(target=measure, args=(theirs, room))
    process.start()
    theirs.close()
    try:
        taken = ours.recv()
    finally:
        process.join()
    assert isinstance(taken, int)
    return taken


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="only Linux tells a process its peak")
def test_a_large_minibatch_stays_within_the_memory_that_is_free() -> None:
    at_once = peak(None)
    assert at_once > 50 * MIB
    assert peak(at_once // 3) < at_once // 3


@pytest.mark.cuda
def test_a_gpu_tells_what_it_has_left(gpu: torch.device) -> None:
    device = replace(CPU, torch_device=gpu)
    free = device.free_bytes()
    held = torch.empty(256 * MIB, dtype=torch.uint8, device=gpu)
    assert device.free_bytes() <= free - 200 * MIB
    del held
    assert device.free_bytes() >= free - 56 * MIB, "what torch keeps for this process is free to it"
    assert replace(device, sharing=8).free_bytes() <= torch.cuda.get_device_properties(gpu).total_memory / 8
