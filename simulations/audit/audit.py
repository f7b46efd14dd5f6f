"""Privacy audit on synthetic patients of one hospital, for every way of training."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from client.data.inspection import read_cohort
from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import OptionError
from common.patients.batch import PatientBatch
from common.patients.preprocessing import combine, site_statistics
from simulations.audit.membership import FEWEST, Targets, lira_scores, loss_scores, mean_losses, train_targets
from simulations.audit.one_run import audit_one_run
from simulations.audit.report import Attack, Audit, CanaryRun, Row
from simulations.audit.roc import auc, curve, over_targets, true_positives
from simulations.audit.training_setups import SAMPLING_RATE, TrainingSetup, compared
from simulations.cohorts.synthetic import write_synthetic
from simulations.results.machine import machine
from simulations.work_folder import work_folder

OTHERS = 300
"""Number of patients that no model is trained on, for its scores."""


BATCH_SIZE = 32


FEWEST_CANARIES, FEWEST_PATIENTS = 40, 20


_POINTS = 400


OneRun = Callable[..., CanaryRun]
"""Function such as `audit_one_run`."""


@dataclass(frozen=True)
class Request:
    """Settings of an audit: numbers of patients, models, rounds and canaries, and epsilons."""

    epsilons: tuple[float, ...] = (8.0, 1.0)
    delta: float = 1e-3
    patients: int = 300
    models: int = 20
    rounds: int = 30
    canaries: int = 200
    seed: int = 0
    command: str = "consilium privacy audit"
    sampling_rate: float = SAMPLING_RATE

    def check(self) -> None:
        """Refuse settings that give no figures.

        Raises:
            InputError: naming the option.
        """
        least = (("patients", FEWEST_PATIENTS), ("models", FEWEST), ("canaries", FEWEST_CANARIES))
        for option, few in least:
            if getattr(self, option) < few:
                raise OptionError(f"--{option}", "is too small for any figure", f"use {few} or more")
        if not 0 < self.delta < 1:
            raise OptionError("--delta", "is no probability that can be missed", "use one such as 1e-3")
        if any(not 0 < epsilon < np.inf for epsilon in self.epsilons):
            raise OptionError("--epsilon", "is not a positive number", "use numbers such as 8 and 1")


@dataclass(frozen=True)
class _Hospital:
    """Standardised patients: those who train the models, and others."""

    federation: Federation
    folder: Path
    patients: PatientBatch
    others: PatientBatch
    cuts: dict[str, torch.Tensor]


def run_audit(
    request: Request,
    say: Callable[[str], None] = lambda text: None,
    one_run: OneRun = audit_one_run,
) -> Audit:
    """Train and attack models, and report progress by `say`.

    `one_run` audits every setup by canaries.

    Raises:
        InputError: for a request that gives no figures.
    """
    request.check()
    started = time.monotonic()
    with work_folder() as folder:
        hospital = _hospital(folder / "cohort", request)
        members = max(1, request.patients // 2)
        setups = compared(
            hospital.federation, request.epsilons, request.delta, members, request.sampling_rate
        )
        rows = tuple(_row(hospital, setup, request, say, one_run) for setup in setups)
    return Audit(
        command=request.command,
        machine=machine(),
        seconds=time.monotonic() - started,
        seed=request.seed,
        patients=request.patients,
        models=request.models,
        rounds=request.rounds,
        delta=request.delta,
        metrics={task.name: task.headline_metric for task in hospital.federation.tasks},
        rows=rows,
    )


def _hospital(folder: Path, request: Request) -> _Hospital:
    """Write one hospital's patients, scaled by sums over all of them.

    So the scaling does not reveal who was trained on.
    """
    write_synthetic(
        folder, sites=1, patients=request.patients + OTHERS, seed=request.seed, shift=0.0, lacking=0.0
    )
    settings = {"training.rounds": str(request.rounds), "training.batch_size": str(BATCH_SIZE)}
    federation = load(folder / FILE_NAME).changed(settings)
    batch = read_cohort(next(folder.glob("*/site.toml")).parent, federation).batch
    preprocessing = combine([site_statistics(batch, federation)], federation)
    standardised = preprocessing.apply(batch)
    everyone = torch.arange(len(batch))
    return _Hospital(
        federation,
        folder,
        standardised.select(everyone[: request.patients]),
        standardised.select(everyone[request.patients :]),
        preprocessing.cuts,
    )


def _row(
    hospital: _Hospital, setup: TrainingSetup, request: Request, say: Callable[[str], None], one_run: OneRun
) -> Row:
    started = time.monotonic()
    trained = 0

    def count_model() -> None:
        nonlocal trained
        trained += 1
        say(f"{setup.name}: {trained} of {request.models} models trained")

    targets = train_targets(
        setup,
        hospital.folder,
        hospital.patients,
        hospital.others,
        hospital.cuts,
        request.models,
        request.seed,
        count_model,
    )
    say(f"{setup.name}: one run with {request.canaries} canaries")
    canaries = one_run(
        setup,
        hospital.folder,
        hospital.patients,
        hospital.cuts,
        request.canaries,
        request.delta,
        request.seed,
    )
    privacy = setup.federation.privacy
    member_loss, other_loss = mean_losses(targets)
    return Row(
        name=setup.name,
        claimed=setup.epsilon,
        noise_multiplier=None if privacy is None else privacy.noise_multiplier,
        loss=_attack(targets, loss_scores(targets), request.seed),
        lira=_attack(targets, lira_scores(targets), request.seed),
        one_run=canaries,
        scores={
            task: (float(score.mean()), float(score.std(ddof=1))) for task, score in targets.scores.items()
        },
        member_loss=member_loss,
        other_loss=other_loss,
        seconds=time.monotonic() - started,
    )


def _attack(targets: Targets, scores: NDArray[np.float64], seed: int) -> Attack:
    members: Sequence[NDArray[np.bool_]] = list(targets.members)
    area = over_targets(auc, members, list(scores), seed)
    rate = over_targets(true_positives, members, list(scores), seed)
    return Attack(
        auc=area,
        true_positives=rate,
        curve=_thinned(*curve(targets.members.ravel(), scores.ravel())),
    )


def _thinned(false: NDArray[np.float64], true: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    """Thin a curve to at most `_POINTS` points, evenly spread over the logarithm of the index."""
    indices = np.unique(np.geomspace(1, len(false), _POINTS).astype(int) - 1)
    return tuple((float(false[index]), float(true[index])) for index in indices)
