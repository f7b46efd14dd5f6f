"""Benchmark `dp`: a private training step beside a plain one, in time and memory."""

import statistics
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import ExitStack
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import torch
from opacus.optimizers import DPOptimizer
from torch import Tensor
from torch.optim import SGD

from client.privacy.arithmetic import LARGEST, steady_slot
from client.privacy.clipping import patient_gradients
from client.privacy.dp_sgd import descent
from client.privacy.slots import clipped_sums
from client.training.adamw import AdamW
from common.families.patient_loss import linear_loss, patient_loss
from common.models.federated import FederatedModel
from common.models.registry import initial_model
from common.patients.batch import PatientBatch
from common.patients.guarantee import made_up_patients
from simulations.benchmarks.measuring.record import Figures, markdown
from simulations.benchmarks.measuring.reference import Workload, of_cohort, reference
from simulations.benchmarks.measuring.stopwatch import peak, seconds
from simulations.benchmarks.training_step.opacus_hooks import make_dense, with_hooks
from simulations.cohorts.sources import default_data
from simulations.results.machine import Record

Step = Callable[[], None]


Loss = Callable[[PatientBatch], Tensor]


AIM_TIME, AIM_MEMORY = 1.3, 1.5
"""Aim for the cost of a private step, in multiples of a plain one."""


RATE = 1e-3


LARGEST_NORM = 5.0
"""Norm to which plain steps cut the gradient of a whole batch, as in local training."""


class PrivateStepCost(Record):
    """Median CPU time of one kind of step, and its peak of memory beyond model and batch."""

    workload: str
    step: str
    milliseconds: float
    megabytes: float
    time_ratio: float
    memory_ratio: float


class DpFigures(Figures):
    """Costs of all kinds of steps on all workloads, in one thread."""

    patients: int
    parameters: dict[str, int]
    costs: tuple[PrivateStepCost, ...]


def _plain(model: FederatedModel, work: Workload, loss: Loss, stack: ExitStack) -> Step:
    return _with_optimiser(
        model, work, loss, AdamW(model.parameters(), RATE, work.federation.training.weight_decay)
    )


def _descent(model: FederatedModel, work: Workload, loss: Loss, stack: ExitStack) -> Step:
    return _with_optimiser(model, work, loss, SGD(model.parameters(), lr=RATE))


def _dense(model: FederatedModel, work: Workload, loss: Loss, stack: ExitStack) -> Step:
    make_dense(model)
    return _plain(model, work, loss, stack)


def _with_optimiser(model: FederatedModel, work: Workload, loss: Loss, optimiser: AdamW | SGD) -> Step:
    def step() -> None:
        objective = loss(work.batch).sum() / len(work.batch)
        optimiser.zero_grad()
        objective.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), LARGEST_NORM)
        optimiser.step()

    return step


def _linear(model: FederatedModel, work: Workload, loss: Loss, stack: ExitStack) -> Step:
    """Return a step of the linear part, by the loss that `train_privately` takes.

    Weights that are not trained are the initial ones, by which no logit reads the graph.
    """
    assert work.federation.privacy is not None
    terms = work.federation.privacy.model_copy(update={"learn": "linear"})
    learnable = model.groups().learnable(terms)
    initial = initial_model(work.federation, work.prior, 0).state_dict()
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.requires_grad_(name in learnable)
            if name not in learnable:
                parameter.copy_(initial[name])
    linear = model.linear_forward()
    assert linear is not None
    additive = partial(linear_loss, linear, federation=work.federation, cuts=work.cuts)
    return _private(model, work, additive, stack, linear=True)


def _private(
    model: FederatedModel, work: Workload, loss: Loss, stack: ExitStack, linear: bool = False
) -> Step:
    privacy = work.federation.privacy
    assert privacy is not None
    slot = steady_slot(model, loss, linear, made_up_patients(work.federation, LARGEST), LARGEST)
    gradients = stack.enter_context(patient_gradients(model))
    terms = privacy.model_copy(update={"steps": 100_000, "learning_rate": RATE})  # as often as it is measured
    descend = descent(model, work.federation, terms)

    def step() -> None:
        descend(clipped_sums(gradients, work.batch, loss, slot, privacy.clip_norm))

    return step


def _hooks(model: FederatedModel, work: Workload, loss: Loss, stack: ExitStack) -> Step:
    privacy = work.federation.privacy
    assert privacy is not None
    wrapped = with_hooks(model)
    optimiser = DPOptimizer(
        SGD(wrapped.parameters(), lr=RATE),
        noise_multiplier=privacy.noise_multiplier,
        max_grad_norm=privacy.clip_norm,
        expected_batch_size=privacy.expected_batch_size,
    )

    def step() -> None:
        loss(work.batch).sum().backward()
        optimiser.step()
        optimiser.zero_grad()

    return step


PLAIN = "plain"


STEPS: dict[str, Callable[[FederatedModel, Workload, Loss, ExitStack], Step]] = {
    PLAIN: _plain,
    "plain, gradient descent": _descent,
    "private, all parameters": _private,
    "private, learn = linear": _linear,
    "plain, absent branches computed": _dense,
    "private by Opacus' hooks": _hooks,
}


def run_dp(data: Path | None, patients: int, seconds: float, out: Path | None) -> DpFigures:
    """Measure the reference configuration and `tcga-brca`, or synthetic patients without data.

    Raises:
        InputError: if data are named and are not those.
    """
    data = data or default_data()
    costs = measure(("reference", "synthetic" if data is None else "tcga-brca"), data, patients, seconds)
    costs.write(out)
    return costs


def make_workload(name: str, data: Path | None, patients: int) -> Workload:
    """Make the reference configuration, or the shipped model on a cohort.

    Raises:
        InputError: if the cohort's data are not there.
    """
    return reference(patients) if name == "reference" else of_cohort(name, data, patients)


def measure(names: Sequence[str], data: Path | None, patients: int, seconds: float) -> DpFigures:
    """Time the kinds of steps in turn, and measure the memory of each kind alone.

    It takes about `seconds` seconds per workload.

    Raises:
        InputError: if a cohort's data are not there.
    """
    torch.set_num_threads(1)
    costs: list[PrivateStepCost] = []
    parameters = {}
    for name in names:
        memory = {step: _in_new_process(name, data, patients, step) for step in STEPS}
        work = make_workload(name, data, patients)
        parameters[name] = sum(parameter.numel() for parameter in work.model().parameters())
        times = _times(work, seconds)
        costs += [
            PrivateStepCost(
                workload=name,
                step=step,
                milliseconds=1000 * times[step],
                megabytes=memory[step],
                time_ratio=times[step] / times[PLAIN],
                memory_ratio=memory[step] / memory[PLAIN],
            )
            for step in STEPS
        ]
    return DpFigures(patients=patients, parameters=parameters, costs=tuple(costs))


def _prepared(kind: str, work: Workload, stack: ExitStack) -> Step:
    model = work.model()
    model.train()
    return STEPS[kind](
        model, work, lambda batch: patient_loss(model, batch, work.federation, work.cuts), stack
    )


def _times(work: Workload, duration: float) -> dict[str, float]:
    """Median CPU seconds per kind of step.

    The kinds take turns, so that a busy machine is busy for all.
    """
    taken: dict[str, list[float]] = {kind: [] for kind in STEPS}
    with ExitStack() as stack:
        steps = {kind: _prepared(kind, work, stack) for kind in STEPS}
        for step in steps.values():
            step()
        end = time.monotonic() + duration
        while time.monotonic() < end or len(taken[PLAIN]) < 5:
            for kind, step in steps.items():
                taken[kind].append(seconds(step))
    return {kind: statistics.median(times) for kind, times in taken.items()}


def _in_new_process(name: str, data: Path | None, patients: int, kind: str) -> float:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_peak, name, data, patients, kind).result()


def _peak(name: str, data: Path | None, patients: int, kind: str) -> float:
    """MB by which the resident size grows at its peak in a step; Linux with glibc only."""
    torch.set_num_threads(1)
    work = make_workload(name, data, patients)
    with ExitStack() as stack:
        few = Workload(work.name, work.federation, work.prior, work.batch.select(torch.arange(2)), work.cuts)
        _prepared(kind, few, stack)()  # loads libraries, which count for no step
        step = _prepared(kind, work, stack)
        return peak(step)


def dp_table(figures: DpFigures) -> str:
    """Write the costs as a Markdown table, with the aim."""
    head = ["model and cohort", "step", "ms", "x plain", "extra MB", "x plain"]
    rows = [head]
    for cost in figures.costs:
        label = f"{cost.workload} ({figures.parameters[cost.workload]:,} parameters)"
        rows.append(
            [
                label if cost.step == PLAIN else "",
                cost.step,
                f"{cost.milliseconds:.1f}",
                f"{cost.time_ratio:.2f}",
                f"{cost.megabytes:.0f}",
                f"{cost.memory_ratio:.2f}",
            ]
        )
    footer = f"{figures.patients} patients a step, one thread, CPU time, median. "
    footer += f"Aim for a private step: at most {AIM_TIME} x plain in time, {AIM_MEMORY} in memory. "
    footer += f"{figures.origin}."
    return f"{markdown('llrrrr', rows)}\n\n{footer}"
