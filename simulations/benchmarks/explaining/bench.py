"""Benchmark `explain`: gap, time and faithfulness of a trained model's explanations."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import perf_counter

import numpy as np
import torch
from torch import Tensor

from client.data.inspection import read_cohort
from common.agreement.agreement import FILE_NAME
from common.agreement.federation import Federation
from common.agreement.loading import load_agreement
from common.errors import OptionError
from common.explanation.explain import explain
from common.explanation.patient import Patient
from common.explanation.targets import targets
from common.patients.batch import PatientBatch, concatenate
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network, network_of
from common.tasks.task import OutcomeForm
from server.records.result import load_result
from simulations.benchmarks.explaining.measures import agreement, deletion, shuffled
from simulations.benchmarks.measuring.record import markdown, origin
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites
from simulations.results.machine import machine

SEED = 0
"""Seed of the patients, of the shuffled network and of random scores."""

SMALLEST = 1e-12
"""Difference below which a gap is no share of it."""


@dataclass(frozen=True)
class Faithfulness:
    """Figures of the explanations of one task, over patients.

    Attributes:
        task: its name.
        patients: explained.
        gap: median size of the gap, as a share of the difference.
        gap_95: 95th percentile of the same.
        converged: share of patients whose gap is small enough.
        seconds: median time of the explanation of all tasks of a patient.
        deletion: scores -> mean over patients of the target without what lowers it minus without what raises it.
        signed: mean rank correlation of contributions with those of a shuffled network.
        unsigned: the same of their sizes.
    """

    task: str
    patients: int
    gap: float
    gap_95: float
    converged: float
    seconds: float
    deletion: dict[str, float]
    signed: float
    unsigned: float


def run_explain(run: Path, cohort: str, data: Path | None, patients: int, share: float) -> list[Faithfulness]:
    """Explain patients of a cohort by the model of a finished run, and judge the explanations.

    Of a time to an event it is the risk by the end of the middle hazard interval.

    Args:
        run: folder of the run.
        cohort: name or folder of a cohort of the same columns.
        data: folder of public data.
        patients: at most so many, drawn from all hospitals.
        share: of a patient's nodes that are deleted.

    Raises:
        InputError: if run or cohort cannot be read, or are not about patients.
    """
    network, federation = _network(run)
    with open_cohort(cohort, data=data) as opened:
        batch = concatenate([read_cohort(site, federation).batch for site in find_sites(opened.folder)])
    drawn = torch.randperm(len(batch), generator=torch.Generator().manual_seed(SEED))[:patients]
    rows = [_judge(network, batch.select(drawn[number : number + 1]), share) for number in range(len(drawn))]
    return [
        Faithfulness(
            task=task.name,
            patients=len(rows),
            gap=float(np.median([row[index].gap for row in rows])),
            gap_95=float(np.quantile([row[index].gap for row in rows], 0.95)),
            converged=float(np.mean([row[index].converged for row in rows])),
            seconds=float(np.median([row[index].seconds for row in rows])),
            deletion={
                scores: float(np.mean([row[index].deletion[scores] for row in rows]))
                for scores in rows[0][index].deletion
            },
            signed=float(np.nanmean([row[index].signed for row in rows])),
            unsigned=float(np.nanmean([row[index].unsigned for row in rows])),
        )
        for index, task in enumerate(federation.tasks)
    ]


@dataclass(frozen=True)
class _OfPatient:
    gap: float
    converged: bool
    seconds: float
    deletion: dict[str, float]
    signed: float
    unsigned: float


def _network(run: Path) -> tuple[Network, Federation]:
    federation, result = load_agreement(run / FILE_NAME), load_result(run)
    if not isinstance(federation, Federation):
        raise OptionError(str(run), "is about no patients, whose explanations are judged", "name another run")
    remedy = f"put back the {FILE_NAME} that the run was made with, or run it again"
    network = network_of(federation, run, result.weights, result.preprocessing, f"{run}/", remedy)
    return network, federation


def _judge(network: Network, raw: PatientBatch, share: float) -> list[_OfPatient]:
    federation, prepared = network.federation, network.preprocessing
    assert isinstance(federation, Federation)
    assert isinstance(prepared, Preprocessing)
    horizons = {
        task.name: (float(prepared.cuts[task.name][task.outputs // 2]),)
        if task.form is OutcomeForm.TIME_TO_EVENT
        else ()
        for task in federation.tasks
    }
    began = perf_counter()
    made = explain(network, raw, horizons)
    seconds = perf_counter() - began
    patient = Patient(network.model, prepared.apply(raw))
    other = Patient(shuffled(network.model, SEED), patient.batch)
    with torch.no_grad():
        logits = network.model(patient.batch)
    judged = []
    for target, explanation in zip(targets(federation, prepared, horizons, logits), made, strict=True):
        attribution = patient.attribution(target)
        scores = {
            "contributions": attribution.values,
            "linear scores": attribution.linear,
            "values": patient.batch.values,
            "random": _random(patient.batch.values),
        }
        signed, unsigned = agreement(attribution.values, other.attribution(target).values)
        difference = abs(explanation.patient - explanation.mean)
        judged.append(
            _OfPatient(
                gap=abs(explanation.gap) / max(difference, SMALLEST),
                converged=explanation.converged,
                seconds=seconds,
                deletion={name: deletion(patient, target, of, share) for name, of in scores.items()},
                signed=signed,
                unsigned=unsigned,
            )
        )
    return judged


def _random(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    draw = torch.Generator().manual_seed(SEED)
    return {name: torch.rand(part.shape, generator=draw) for name, part in values.items()}


def explain_table(results: Sequence[Faithfulness], share: float) -> str:
    """Write a Markdown table of every task's figures.

    Args:
        results: of the tasks.
        share: of the nodes that were deleted.
    """
    deleted = list(results[0].deletion)
    head = ["task", "patients", "gap", "95%", "converged", "seconds"]
    head += [f"deleted by {scores}" for scores in deleted] + ["shuffled", "shuffled, sizes"]
    rows = [
        [
            figures.task,
            str(figures.patients),
            f"{figures.gap:.2%}",
            f"{figures.gap_95:.2%}",
            f"{figures.converged:.0%}",
            f"{figures.seconds:.2f}",
            *(f"{figures.deletion[scores]:.3f}" for scores in deleted),
            f"{figures.signed:.2f}",
            f"{figures.unsigned:.2f}",
        ]
        for figures in results
    ]
    return (
        f"{markdown('l' + 'r' * (len(head) - 1), [head, *rows])}\n\n"
        "Gap of the contributions' sum as a share of the difference from the mean patient, median and 95th percentile "
        "over patients; median seconds of a patient with all tasks. Deleted: the number (log cumulative hazard, "
        f"log-odds or the task's unit) with the {share:.2%} of values that lower it most set to the mean, minus that "
        f"with the {share:.2%} that raise it most. Shuffled: rank correlation with the contributions of the same "
        f"network with shuffled weights, where 0 is best. {origin(machine(), datetime.now(UTC))}."
    )
