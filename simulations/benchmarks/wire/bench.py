"""`consilium bench wire`: what a hospital's update weighs on the wire and takes to pack, and what fewer bytes cost."""

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
from client.training.loss import patient_loss
from common.agreement.settings import Wire
from common.messages.compression import decode, encode, flatten, unflatten
from common.messages.exchange import ModelRequest, TrainReply, UpdateReply
from common.messages.packing import Arrays, pack, unpack
from common.models.parameters import hospitals_behind
from simulations.benchmarks.measuring.record import Figures
from simulations.benchmarks.measuring.reference import Workload
from simulations.benchmarks.training_step.networks import REFERENCE, workload
from simulations.benchmarks.wire.accuracy import WIRES, EncodingRun, name_of
from simulations.cohorts.sources import default_data
from simulations.engines.flower_internals import acting_as_coordinator, new_run
from simulations.results.machine import Record

STEPS, PATIENTS, RATE = 4, 32, 3e-3
"""The update that is packed is that of so many steps of AdamW on so many patients."""


class EncodingCost(Record):
    """Of one model's update in one encoding.

    Attributes:
        request_bytes: of the request that it answers, which is float32 in any case.
        value_bytes: of the encoded values alone.
        manifest_bytes: what `common.messages.packing` adds.
        message_bytes: of the whole reply as Flower sends it, its numbers of patients and metrics included.
        pack_ms: median of encoding and packing.
        unpack_ms: median of unpacking, with its SHA-256, and decoding.
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
        """What Flower's own form adds, with the reply's header and numbers."""
        return self.message_bytes - self.value_bytes - self.manifest_bytes


class WireFigures(Figures):
    """Everything measured, on which machine and when."""

    repeats: int
    costs: tuple[EncodingCost, ...]
    runs: tuple[EncodingRun, ...] = ()


def run_wire(
    data: Path | None, repeats: int, out: Path | None, runs: Sequence[EncodingRun] = ()
) -> WireFigures:
    """Measure on the reference configuration, and on `tcga-brca`, or on synthetic patients where there are no data.

    Args:
        data: folder of public data.
        repeats: how often each encoding is packed and unpacked, in turns with the others.
        out: a file for all figures, as JSON.
        runs: of `wire_accuracy`, to be told with the rest.

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
    """Every encoding of one real update."""
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
    """A model's parameters before and after training, and the reply's numbers."""

    before: Arrays
    after: Arrays
    patients: dict[str, float]
    metrics: dict[str, float]


def train_update(work: Workload) -> TrainedUpdate:
    """A model as it is after `STEPS` steps."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = work.model()
        before = {name: own.numpy().copy() for name, own in model.state_dict().items()}
        optimiser = AdamW(model.parameters(), lr=RATE, weight_decay=work.federation.training.weight_decay)
        model.train()
        for _ in range(STEPS):
            loss = patient_loss(model, work.batch, work.federation, work.cuts).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    after = {name: own.numpy().copy() for name, own in model.state_dict().items()}
    pairs = [f"{part}:{task.name}" for task in work.federation.tasks for part in ("concordant", "comparable")]
    sums = ("training_loss", "validation_loss", "validation_squares", "validation_patients")
    patients = {group: float(PATIENTS) for group in hospitals_behind(work.federation, frozenset())}
    return TrainedUpdate(before, after, patients, dict.fromkeys((*sums, *pairs), 1.0))


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
    """Packs an update as a hospital does, and unpacks it as a coordinator does.

    Args:
        update: a trained model.
        wire: how it travels.
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
        """The values and their manifest."""
        return pack({"update": self._arrays()})

    def unpacked(self, flat: NDArray[np.uint8], manifest: bytes) -> Arrays:
        """Float32 arrays by parameter."""
        arrays = unpack(flat, manifest)["update"]
        if self.wire.update == "float32":
            return arrays
        return unflatten(decode(arrays, self.wire, self._shapes), self._shapes)

    def record(self) -> RecordDict:
        """The whole reply."""
        update = self._update
        if self.wire.update == "float32":
            return TrainReply(
                site="one", round=1, weights=update.after, patients=update.patients, metrics=update.metrics
            ).to_record()
        return UpdateReply(
            site="one", round=1, update=self._arrays(), patients=update.patients, metrics=update.metrics
        ).to_record()
