"""`consilium bench train`: a training step of ours beside the same network in PyG, in time and memory, on one thread.

Every network runs in a process of its own, started with the allocator's settings that are measured. The processes take
turns, step by step, so that a busy machine is busy for all.
"""

import ctypes
import gc
import os
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from multiprocessing import get_context
from multiprocessing.connection import Connection
from pathlib import Path

import torch
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from client.adamw import AdamW
from client.running import ALLOCATOR
from client.training import patient_loss
from common.batch import PatientBatch
from common.objectives import multitask_loss
from simulations.benchmarks.floor import Demand, demand, rates
from simulations.benchmarks.pyg import PygNetwork, collate
from simulations.benchmarks.reference import Workload, of_cohort, reference
from simulations.cohorts.sources import default_data
from simulations.result import Machine, machine, write_whole

Step = Callable[[], None]
Loss = Callable[[], Tensor]

AIM_FASTER = {"default": 8.0, "tuned": 3.0}
"""How many times faster than PyG a step should be, by allocator."""
AIM_MEMORY = 0.4
"""The share of PyG's peak memory that a step should need at most."""
RATE, DECAY = 1e-3, 1e-2
LARGEST_NORM = 5.0
"""Gradients of a batch are cut to this norm, as in local training."""
ALLOCATORS: dict[str, dict[str, str]] = {"default": {}, "tuned": ALLOCATOR}
"""Environments of glibc's allocator: its own, and that of a hospital's site."""
THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
REFERENCE, GRAPHS = "reference", "reference without imaging"
LEAST = 6
"""Steps timed at least."""


class Cost(BaseModel):
    """Of one network on one workload under one allocator: CPU time of a step, and its peak beyond model and batch."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workload: str
    allocator: str
    network: str
    steps: int
    milliseconds: float
    quartiles: tuple[float, float]
    patients_per_second: float
    megabytes: float


class Floor(BaseModel):
    """What a step of ours takes at least: giga-operations in products and messages, and gigabytes moved."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    products: float
    messages: float
    gigabytes: float
    parameters: int
    opponent_parameters: int
    present: dict[str, int]


class Costs(BaseModel):
    """Everything measured, on which machine and when; rates are giga-operations and gigabytes per second."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    machine: Machine
    date: datetime = Field(default_factory=lambda: datetime.now(UTC).replace(microsecond=0))
    patients: int
    product_rate: float
    copy_rate: float
    floors: dict[str, Floor]
    costs: tuple[Cost, ...]


def _ours(work: Workload) -> Step:
    model = work.model()
    return _step(model, len(work.batch), lambda: patient_loss(model, work.batch, work.federation, work.cuts))


def _pyg(work: Workload) -> Step:
    model = PygNetwork(work.federation, work.prior)
    graphs = collate(work.batch, work.federation, work.prior)
    tasks = work.federation.tasks
    return _step(
        model, len(work.batch), lambda: multitask_loss(tasks, model(graphs), work.batch, work.cuts, None)
    )


def _step(model: nn.Module, patients: int, loss: Loss) -> Step:
    """A step as in local training."""
    model.train()
    optimiser = AdamW(model.parameters(), lr=RATE, weight_decay=DECAY)

    def step() -> None:
        objective = loss().sum() / patients
        optimiser.zero_grad()
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
        optimiser.step()

    return step


OURS, OPPONENT = "Consilium", "PyG"
NETWORKS: dict[str, Callable[[Workload], Step]] = {OURS: _ours, OPPONENT: _pyg}


def run_train(data: Path | None, patients: int, seconds: float, out: Path | None) -> Costs:
    """Measure on the reference configuration, and on `tcga-brca`, or on synthetic patients where there are no data.

    Raises:
        InputError: if data are named and are not those.
    """
    data = data or default_data()
    cohort = "synthetic" if data is None else "tcga-brca"
    costs = measure((REFERENCE, GRAPHS, cohort), data, patients, seconds)
    if out is not None:
        out.parent.mkdir(parents=True, exist_ok=True)
        write_whole(out, costs.model_dump_json(indent=2) + "\n")
    return costs


def workload(name: str, data: Path | None, patients: int) -> Workload:
    """The reference configuration, whole or without its imaging, or the shipped model on a cohort.

    Raises:
        InputError: if the cohort's data are not there.
    """
    if name == REFERENCE:
        return reference(patients)
    return without(reference(patients), "imaging") if name == GRAPHS else of_cohort(name, data, patients)


def without(work: Workload, modality: str) -> Workload:
    """The same patients and model without a modality."""
    left = tuple(own for own in work.federation.modalities if own.name != modality)
    values = {own.name: work.batch.values[own.name] for own in left}
    observed = {own.name: work.batch.observed[own.name] for own in left}
    return replace(
        work,
        federation=work.federation.model_copy(update={"modalities": left}),
        batch=PatientBatch(values, observed, work.batch.labels, work.batch.labelled),
    )


def measure(names: Sequence[str], data: Path | None, patients: int, seconds: float) -> Costs:
    """Every network on every workload under every allocator, for about so many seconds per workload and allocator.

    Raises:
        InputError: if a cohort's data are not there.
    """
    torch.set_num_threads(1)
    able = rates()
    floors: dict[str, Floor] = {}
    costs: list[Cost] = []
    for name in names:
        work = workload(name, data, patients)
        floors[name] = _floor(work, demand(work))
        for allocator, settings in ALLOCATORS.items():
            with ExitStack() as stack, _environment({**THREADS, **settings}):
                running = {own: stack.enter_context(_process(name, data, patients, own)) for own in NETWORKS}
                memory = {own: float(pipe.recv()) for own, pipe in running.items()}
                times = _in_turns(running, seconds)
            costs += [
                _cost(name, allocator, own, len(work.batch), times[own], memory[own]) for own in NETWORKS
            ]
    return Costs(
        machine=machine(),
        patients=patients,
        product_rate=able.products / 1e9,
        copy_rate=able.copy / 1e9,
        floors=floors,
        costs=tuple(costs),
    )


def _floor(work: Workload, least: Demand) -> Floor:
    return Floor(
        products=least.products / 1e9,
        messages=least.messages / 1e9,
        gigabytes=least.bytes / 1e9,
        parameters=sum(own.numel() for own in work.model().parameters()),
        opponent_parameters=sum(own.numel() for own in PygNetwork(work.federation, work.prior).parameters()),
        present={own: int(work.batch.present(own).sum()) for own in work.batch.values},
    )


def _cost(
    name: str, allocator: str, network: str, patients: int, times: list[float], megabytes: float
) -> Cost:
    low, middle, high = statistics.quantiles(times, n=4)
    return Cost(
        workload=name,
        allocator=allocator,
        network=network,
        steps=len(times),
        milliseconds=1000 * middle,
        quartiles=(1000 * low, 1000 * high),
        patients_per_second=patients / middle,
        megabytes=megabytes,
    )


@contextmanager
def _environment(settings: Mapping[str, str]) -> Iterator[None]:
    """What processes started here find: these settings, and of the allocator's no others."""
    before = dict(os.environ)
    for name in ALLOCATOR:
        os.environ.pop(name, None)
    os.environ.update(settings)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


@contextmanager
def _process(name: str, data: Path | None, patients: int, network: str) -> Iterator[Connection]:
    """A process with one network: it tells the peak of its memory in MB, and then for every True a step's seconds."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, name, data, patients, network), daemon=True)
    process.start()
    there.close()
    try:
        yield here
        here.send(False)
    finally:
        here.close()
        process.join()


def _serve(pipe: Connection, name: str, data: Path | None, patients: int, network: str) -> None:
    torch.set_num_threads(1)
    work = workload(name, data, patients)
    few = replace(work, batch=work.batch.select(torch.arange(2)))
    NETWORKS[network](few)()  # libraries are loaded, and count for none
    step = NETWORKS[network](work)
    pipe.send(_peak(step))
    while pipe.recv():
        start = time.process_time()
        step()
        pipe.send(time.process_time() - start)


def _in_turns(running: Mapping[str, Connection], seconds: float) -> dict[str, list[float]]:
    """CPU seconds of each process's steps, taken one at a time in turn for about so many seconds."""
    taken: dict[str, list[float]] = {network: [] for network in running}
    end = time.monotonic() + seconds
    while time.monotonic() < end or len(taken[OURS]) < LEAST:
        for network, pipe in running.items():
            pipe.send(True)
            taken[network].append(float(pipe.recv()))
    return taken


def _peak(step: Step) -> float:
    """MB by which the resident size grows at its peak in a step; Linux with glibc only."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # or what preparing left free would hide what the step needs
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew from here
    before = _resident("VmRSS")
    step()
    return _resident("VmHWM") - before


def _resident(field: str) -> float:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(float(line.split()[1]) for line in lines if line.startswith(field)) / 1024


def table(costs: Costs) -> str:
    """Markdown: the costs with their ratios and aims, what a step takes at least, and what they were measured on."""
    ours = {(cost.workload, cost.allocator): cost for cost in costs.costs if cost.network == OURS}
    head = ["model and cohort", "allocator", "network", "ms", "quartiles", "patients/s"]
    lines = [[*head, "x Consilium", "extra MB", "x Consilium", "of product peak"]]
    lines.append(["---"] * 3 + ["---:"] * 7)
    for cost in costs.costs:
        base, floor = ours[cost.workload, cost.allocator], costs.floors[cost.workload]
        share = (floor.products + floor.messages) / costs.product_rate / cost.milliseconds * 1000
        lines.append(
            [
                cost.workload,
                cost.allocator,
                cost.network,
                f"{cost.milliseconds:.1f}",
                f"{cost.quartiles[0]:.1f} to {cost.quartiles[1]:.1f}",
                f"{cost.patients_per_second:.0f}",
                f"{cost.milliseconds / base.milliseconds:.2f}",
                f"{cost.megabytes:.0f}",
                f"{cost.megabytes / base.megabytes:.2f}",
                f"{share:.0%}",
            ]
        )
    parts = [
        "\n".join(f"| {' | '.join(line)} |" for line in lines),
        _aims(costs),
        _least(costs),
        _where(costs),
    ]
    return "\n\n".join(parts)


def _aims(costs: Costs) -> str:
    """How far each workload is from what was aimed for."""
    found = {(cost.workload, cost.allocator, cost.network): cost for cost in costs.costs}
    lines = []
    for name in costs.floors:
        for allocator, aim in AIM_FASTER.items():
            ours, theirs = found[name, allocator, OURS], found[name, allocator, OPPONENT]
            faster, memory = theirs.milliseconds / ours.milliseconds, ours.megabytes / theirs.megabytes
            lines.append(
                f"- {name}, {allocator}: {faster:.1f} x as fast as {OPPONENT} (aim {aim:.0f}), "
                f"{memory:.2f} of its memory (aim {AIM_MEMORY})"
            )
    return "\n".join(lines)


def _least(costs: Costs) -> str:
    lines = []
    for name, floor in costs.floors.items():
        at_peak = (floor.products + floor.messages) / costs.product_rate * 1000
        have = ", ".join(f"{own} {count}" for own, count in floor.present.items())
        lines.append(
            f"- {name}: {floor.parameters:,} parameters ({OPPONENT} {floor.opponent_parameters:,}); a step is "
            f"{floor.products:.2f} giga-operations in products and {floor.messages:.2f} in messages, "
            f"{at_peak:.0f} ms at the product peak, and moves {floor.gigabytes:.2f} GB, "
            f"{floor.gigabytes / costs.copy_rate * 1000:.0f} ms at the rate of a copy. Patients with: {have}."
        )
    return "\n".join(lines)


def _where(costs: Costs) -> str:
    where = costs.machine
    return (
        f"{costs.patients} patients a step, one thread, CPU time, medians of alternating steps. Measured peak "
        f"{costs.product_rate:.0f} giga-operations/s in float32 products, {costs.copy_rate:.0f} GB/s in copies. "
        f"{where.processor}, {where.cores} cores, Python {where.python}, torch {where.torch}, "
        f"{costs.date:%Y-%m-%d}."
    )
