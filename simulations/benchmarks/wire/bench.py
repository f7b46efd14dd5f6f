"""Benchmark `wire`: bytes of a hospital's update, and time to pack it, in every encoding."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch
from flwr.app import RecordDict
from numpy.typing import NDArray

from client.flower.internals import weigh
from client.training.adamw import AdamW
from common.agreement.settings import Wire
from common.families.patient_loss import patient_loss
from common.messages.compression import decode, encode, flatten, unflatten
from common.messages.exchange import ModelRequest, TrainReply, UpdateReply
from common.messages.packing import Arrays, pack, unpack
from common.messages.validation import SUMS, TRAINING_LOSS, pair_names
from simulations.benchmarks.measuring.record import Figures
from simulations.benchmarks.measuring.reference import Workload
from simulations.benchmarks.training_step.networks import REFERENCE, workload
from simulations.benchmarks.wire.accuracy import WIRES, EncodingRun, name_of
from simulations.cohorts.sources import default_data
from simulations.engines.flower_internals import acting_as_coordinator, new_run
from simulations.results.machine import Record

STEPS, PATIENTS, RATE = 4, 32, 3e-3
"""Number of AdamW steps, number of patients and learning rate behind the packed update."""


class EncodingCost(Record):
    """Bytes and times of one model's update in one encoding.

    Attributes:
        request_bytes: bytes of the request, which is float32 in any case.
        value_bytes: bytes of the encoded values alone.
        manifest_bytes: bytes that `common.messages.packing` adds.
        message_bytes: bytes of the whole reply as Flower sends it, with numbers of patients and metrics.
        pack_ms: median milliseconds of encoding and packing.
        unpack_ms: median milliseconds of unpacking, with its SHA-256, and decoding.
    """

    model: str
    parameters: int
    wire: Wire
    request_bytes: int
    value_bytes: int
    manifest_bytes: int
    message_bytes: int
    pack_ms: float
    unpack_ms: float

    @property
    def framing_bytes(self) -> int:
        """Bytes that Flower's form adds, with the reply's header and numbers."""
        return self.message_bytes - self.value_bytes - self.manifest_bytes


class WireFigures(Figures):
    """Costs of all encodings, and runs that were trained with them."""

    repeats: int
    costs: tuple[EncodingCost, ...]
    runs: tuple[EncodingRun, ...] = ()


def run_wire(
    data: Path | None, repeats: int, out: Path | None, runs: Sequence[EncodingRun] = ()
) -> WireFigures:
    """Measure the reference configuration and `tcga-brca`, or synthetic patients without data.

    Args:
        data: folder of public data.
        repeats: number of times an encoding is packed and unpacked, in turns with the others.
        out: JSON file for all figures.
        runs: runs of `run_accuracy`, to be written with the figures.

    Raises:
        InputError: if `data` is not that folder.
    """
    torch.set_num_threads(1)
    data = data or default_data()
    names = (REFERENCE, "synthetic" if data is None else "tcga-brca")
    costs = tuple(cost for name in names for cost in measure(workload(name, data, PATIENTS), repeats))
    measured = WireFigures(repeats=repeats, costs=costs, runs=tuple(runs))
    measured.write(out)
    return measured


def measure(work: Workload, repeats: int) -> list[EncodingCost]:
    """Measure every encoding of one real update."""
    update = train_update(work)
    packers = [Packer(update, wire) for wire in WIRES]
    seconds: dict[str, list[tuple[float, float]]] = {name_of(wire): [] for wire in WIRES}
    for _ in range(repeats):
        for packer in packers:
            began = time.perf_counter()
            flat, manifest = packer.packed()
            between = time.perf_counter()
            packer.unpacked(flat, manifest)
            seconds[name_of(packer.wire)].append((between - began, time.perf_counter() - between))
    request = ModelRequest(
        federation="0" * 64,
        round=1,
        fold=-1,
        seed=0,
        weights=update.before,
        preprocessing=_scaling(work),
    )
    costs = []
    with acting_as_coordinator(new_run({})):
        request_bytes, _ = weigh(request.to_record())
        for packer in packers:
            flat, manifest = packer.packed()
            spent = seconds[name_of(packer.wire)]
            costs.append(
                EncodingCost(
                    model=work.name,
                    parameters=len(flatten(update.before)),
                    wire=packer.wire,
                    request_bytes=request_bytes,
                    value_bytes=flat.nbytes,
                    manifest_bytes=len(manifest),
                    message_bytes=weigh(packer.record())[0],
                    pack_ms=1e3 * median(pack_s for pack_s, _ in spent),
                    unpack_ms=1e3 * median(unpack_s for _, unpack_s in spent),
                )
            )
    return costs


@dataclass(frozen=True)
class TrainedUpdate:
    """Parameters of a model before and after training, and the numbers of the reply."""

    before: Arrays
    after: Arrays
    patients: dict[str, float]
    metrics: dict[str, float]


def train_update(work: Workload) -> TrainedUpdate:
    """Train a model by `STEPS` steps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = work.model()
        before = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
        optimiser = AdamW(model.parameters(), lr=RATE, weight_decay=work.federation.training.weight_decay)
        model.train()
        for _ in range(STEPS):
            loss = patient_loss(model, work.batch, work.federation, work.cuts).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    after = {name: tensor.numpy().copy() for name, tensor in model.state_dict().items()}
    pairs = pair_names(task.name for task in work.federation.tasks)
    patients = {group.name: float(PATIENTS) for group in model.groups().groups}
    return TrainedUpdate(before, after, patients, dict.fromkeys((TRAINING_LOSS, *SUMS, *pairs), 1.0))


def _scaling(work: Workload) -> Arrays:
    """A request's preprocessing, in size."""
    sizes = {modality.name: len(modality.nodes) for modality in work.federation.modalities}
    scaling: Arrays = {
        f"{kind}:{name}": np.ones(size, np.float32)
        for kind in ("center", "spread")
        for name, size in sizes.items()
    }
    return scaling | {f"cuts:{name}": ends.numpy() for name, ends in work.cuts.items()}


class Packer:
    """Packing of an update as in a hospital, and unpacking as in a coordinator.

    Args:
        update: trained model.
        wire: encoding of the update.
    """

    def __init__(self, update: TrainedUpdate, wire: Wire) -> None:
        self._update, self.wire = update, wire
        self._shapes = {name: array.shape for name, array in update.before.items()}
        self._change = flatten(update.after) - flatten(update.before)

    def _arrays(self) -> Arrays:
        if self.wire.update == "float32":
            return self._update.after
        return encode(self._change, self.wire, self._shapes)

    def packed(self) -> tuple[NDArray[np.uint8], bytes]:
        """Pack the values as (bytes, manifest)."""
        return pack({"update": self._arrays()})

    def unpacked(self, flat: NDArray[np.uint8], manifest: bytes) -> Arrays:
        """Unpack float32 arrays by parameter."""
        arrays = unpack(flat, manifest)["update"]
        if self.wire.update == "float32":
            return arrays
        return unflatten(decode(arrays, self.wire, self._shapes), self._shapes)

    def record(self) -> RecordDict:
        """Make the record of the whole reply."""
        update = self._update
        if self.wire.update == "float32":
            return TrainReply(
                site="one", round=1, weights=update.after, patients=update.patients, metrics=update.metrics
            ).to_record()
        return UpdateReply(
            site="one", round=1, update=self._arrays(), patients=update.patients, metrics=update.metrics
        ).to_record()
