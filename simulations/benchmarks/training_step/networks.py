"""Networks of the benchmark `train`, Consilium's and PyG's, as steps on the same patients."""

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from client.training.adamw import AdamW
from client.training.device import Device
from client.training.replay.capture import captured_step
from client.training.replay.step import StepTerms, cohort_rows
from client.training.round import Round
from common.families.patient_loss import patient_loss
from common.models.federated import FederatedModel
from common.patients.objective import multitask_loss
from common.patients.preprocessing import Preprocessing
from simulations.benchmarks.measuring.reference import Workload, of_cohort, reference
from simulations.benchmarks.training_step.pyg import PygNetwork, collate

Step = Callable[[], None]


Loss = Callable[[], Tensor]


RATE, DECAY = 1e-3, 1e-2


LARGEST_NORM = 5.0
"""Norm to which the gradient of a batch is cut, as in local training."""


REFERENCE = "reference"


def workload(name: str, data: Path | None, patients: int) -> Workload:
    """Make the reference configuration, or the shipped model on a cohort.

    Raises:
        InputError: if the cohort's data are not there.
    """
    return reference(patients) if name == REFERENCE else of_cohort(name, data, patients)


def _ours(work: Workload, device: torch.device) -> Step:
    """A step as training takes it: replayed by a GPU that captures it, and launched otherwise.

    It is captured by the first step, in whose memory that counts.
    """
    if device.type == "cpu":
        return _launched(work, device)
    model, steps = work.model().to(device), list[Step]()

    def step() -> None:
        if not steps:
            steps.append(_replayed(work, model, Device(device)) or _launched(work, device))
        steps[0]()

    return step


def _replayed(work: Workload, model: FederatedModel, device: Device) -> Step | None:
    """A replayed step with the choice of its rows; None if the GPU does not capture it."""
    round_ = Round(work.federation, Preprocessing({}, {}, work.cuts), device=device)
    terms = StepTerms(len(work.batch), frozenset(model.state_dict()), DECAY, None, device)
    replayed = captured_step(model, terms, round_, work.batch)
    if replayed is None:
        return None
    cohort = cohort_rows(replayed.step.form, work.batch, device)
    replayed.step.begin(model, RATE, round_)
    everyone = torch.arange(terms.units, device=device.torch_device)

    def step() -> None:
        replayed.step.take(cohort, everyone)
        replayed.run()

    return step


def _launched(work: Workload, device: torch.device) -> Step:
    model, batch = work.model().to(device), work.batch.to(device)
    cuts = {name: ends.to(device) for name, ends in work.cuts.items()}
    return _step(model, len(batch), lambda: patient_loss(model, batch, work.federation, cuts))


def _pyg(work: Workload, device: torch.device) -> Step:
    model, batch = PygNetwork(work.federation, work.prior).to(device), work.batch.to(device)
    graphs = collate(work.batch, work.federation, work.prior).to(device)
    cuts = {name: ends.to(device) for name, ends in work.cuts.items()}
    tasks = work.federation.tasks
    return _step(model, len(batch), lambda: multitask_loss(tasks, model(graphs), batch, cuts, None))


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


LAUNCHED, ON_CPU = "Consilium, launched", "Consilium, one CPU core"
"""Consilium's step without replay, and without the GPU."""


NETWORKS: dict[str, Callable[[Workload, torch.device], Step]] = {OURS: _ours, OPPONENT: _pyg}


ON_A_GPU = NETWORKS | {LAUNCHED: _launched, ON_CPU: _launched}
"""Networks that are measured where the device is a GPU."""
