"""Benchmark `train`: a training step beside the same network in PyG, in time and memory.

A network runs in one thread of a separate process, which starts with the measured settings of the allocator. The
processes take turns, step by step, so that a busy machine is busy for all.
"""

import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path

import torch

from client.runtime.services import ALLOCATOR
from client.training.device import find_device
from simulations.benchmarks.measuring.record import Figures
from simulations.benchmarks.measuring.reference import Workload
from simulations.benchmarks.measuring.stopwatch import peak, seconds
from simulations.benchmarks.measuring.turns import in_turns, process, serve
from simulations.benchmarks.training_step.floor import Demand, demand, rates
from simulations.benchmarks.training_step.networks import (
    NETWORKS,
    ON_A_GPU,
    ON_CPU,
    OURS,
    REFERENCE,
    workload,
)
from simulations.benchmarks.training_step.pyg import PygNetwork
from simulations.benchmarks.training_step.step_profile import shares
from simulations.cohorts.sources import default_data
from simulations.engines.environment import environment_set
from simulations.results.machine import Record

ALLOCATORS: dict[str, dict[str, str]] = {"default": {}, "tuned": ALLOCATOR}
"""Environments of glibc's allocator: its default, and the setting of a hospital's site."""


THREADS = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


DURATIONS = {True: 40.0, False: 10.0}
"""Seconds of measuring a model under an allocator, on the CPU and on a GPU, whose steps are short."""


LEAST = 6
"""Least number of timed steps."""


class StepCost(Record):
    """Cost of a step of one network on one workload under one allocator.

    It is the CPU time and the peak of memory beyond model and batch.

    On a GPU it is the time until the step is done, and the GPU's memory.
    """

    workload: str
    allocator: str
    network: str
    steps: int
    milliseconds: float
    quartiles: tuple[float, float]
    patients_per_second: float
    megabytes: float


class Floor(Record):
    """Least work of a step: giga-operations in products and messages, and gigabytes moved."""

    products: float
    messages: float
    gigabytes: float
    parameters: int
    opponent_parameters: int
    present: dict[str, int]


class TrainFigures(Figures):
    """Costs, floors and profiles of all workloads.

    Rates are giga-operations and gigabytes per second.

    `profiles` are shares of a step of Consilium by kind of operation, where the CPU is measured.
    """

    device: str
    patients: int
    product_rate: float
    copy_rate: float
    floors: dict[str, Floor]
    profiles: dict[str, dict[str, float]]
    costs: tuple[StepCost, ...]


def run_train(
    data: Path | None, patients: int, duration: float | None, device: str, out: Path | None
) -> TrainFigures:
    """Measure the reference configuration and `tcga-brca`, or synthetic patients without data.

    Without a `duration` it is that of `DURATIONS`.

    Raises:
        InputError: if data are named and are not those, or the device is not there.
    """
    found_device = str(find_device(device, "--device"))
    duration = duration or DURATIONS[found_device == "cpu"]
    data = data or default_data()
    cohort = "synthetic" if data is None else "tcga-brca"
    costs = measure((REFERENCE, cohort), data, patients, duration, found_device)
    costs.write(out)
    return costs


def measure(
    names: Sequence[str], data: Path | None, patients: int, duration: float, device: str
) -> TrainFigures:
    """Measure every network on every workload under every allocator.

    It takes about `duration` seconds per workload and allocator.

    A GPU has another allocator, so only the first setting is measured there, without the profile of the processor, and
    besides the networks Consilium's without replay and on one core of the CPU.

    Raises:
        InputError: if a cohort's data are not there.
    """
    torch.set_num_threads(1)
    on_cpu = device == "cpu"
    able = rates()
    works = {name: workload(name, data, patients) for name in names}
    settings = [(name, allocator) for name in names for allocator in ALLOCATORS]
    # On the CPU processes would take memory and caches from those that are measured.
    groups = [[setting] for setting in settings] if on_cpu else [settings[:: len(ALLOCATORS)]]
    costs = [
        cost
        for group in groups
        for cost in _costs(group, data, works, duration, device, NETWORKS if on_cpu else ON_A_GPU)
    ]
    return TrainFigures(
        device=device if on_cpu else torch.cuda.get_device_name(device),
        patients=patients,
        product_rate=able.products / 1e9,
        copy_rate=able.copy / 1e9,
        floors={name: _floor(work, demand(work)) for name, work in works.items()},
        profiles={
            name: shares(NETWORKS[OURS](work, torch.device("cpu"))) for name, work in works.items() if on_cpu
        },
        costs=tuple(costs),
    )


def _costs(
    settings: Sequence[tuple[str, str]],
    data: Path | None,
    works: Mapping[str, Workload],
    duration: float,
    device: str,
    networks: Iterable[str],
) -> Iterator[StepCost]:
    """Measure workloads under allocators, whose processes start all at once."""
    with ExitStack() as stack:
        running: dict[tuple[str, str], dict[str, Connection]] = {}
        for name, allocator in settings:
            given = (name, data, len(works[name].batch), device)
            with environment_set({**THREADS, **ALLOCATORS[allocator]}, without=ALLOCATOR):
                running[name, allocator] = {
                    network: stack.enter_context(process(_serve, *given, network)) for network in networks
                }
        for (name, allocator), pipes in running.items():
            memory = {network: float(pipe.recv()) for network, pipe in pipes.items()}
            times = in_turns(pipes, duration, LEAST)
            for network in networks:
                yield _cost(name, allocator, network, len(works[name].batch), times[network], memory[network])


def _serve(pipe: Connection, name: str, data: Path | None, patients: int, device: str, network: str) -> None:
    """Send the peak of one network's memory in MB, and then serve steps."""
    torch.set_num_threads(1)
    target = torch.device("cpu" if network == ON_CPU else device)
    work = workload(name, data, patients)
    few = replace(work, batch=work.batch.select(torch.arange(2)))
    ON_A_GPU[network](few, target)()  # loads libraries, which count for no network
    step = ON_A_GPU[network](work, target)
    pipe.send(peak(step, target))
    serve(pipe, partial(seconds, step, target))


def _floor(work: Workload, least: Demand) -> Floor:
    return Floor(
        products=least.products / 1e9,
        messages=least.messages / 1e9,
        gigabytes=least.bytes / 1e9,
        parameters=sum(parameter.numel() for parameter in work.model().parameters()),
        opponent_parameters=sum(
            parameter.numel() for parameter in PygNetwork(work.federation, work.prior).parameters()
        ),
        present={modality: int(work.batch.present(modality).sum()) for modality in work.batch.values},
    )


def _cost(
    name: str, allocator: str, network: str, patients: int, times: list[float], megabytes: float
) -> StepCost:
    low, middle, high = statistics.quantiles(times, n=4)
    return StepCost(
        workload=name,
        allocator=allocator,
        network=network,
        steps=len(times),
        milliseconds=1000 * middle,
        quartiles=(1000 * low, 1000 * high),
        patients_per_second=patients / middle,
        megabytes=megabytes,
    )
