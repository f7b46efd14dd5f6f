"""Benchmark `warnings`: spoilt tables that are found, and ordinary ones that are not fine."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from client.data.inspection import read_cohort
from client.prediction.patients.checks import checked
from client.prediction.patients.predictor import predict
from common.agreement.agreement import FILE_NAME
from common.agreement.federation import Federation
from common.agreement.loading import load_agreement
from common.errors import OptionError
from common.evaluation.predictions import SurvivalPrediction
from common.files import write_whole
from common.patients.batch import PatientBatch, concatenate
from common.patients.preprocessing import Preprocessing
from common.prediction.network import Network, network_of
from common.release.members import STRUCTURE
from common.structure.answer import Answer
from common.structure.judgement import TOGETHER
from common.tasks.task import OutcomeForm
from server.records.assessment import assessed_members
from server.records.result import load_result
from simulations.benchmarks.measuring.record import markdown, origin
from simulations.benchmarks.spoiling.coverage import SHARES, brier_of, risk_coverage
from simulations.benchmarks.spoiling.faults import Fault, faults, is_refused
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites
from simulations.report.spoiling import render_warnings
from simulations.results.spoiling import FILE_NAME as FIGURES
from simulations.results.spoiling import SpoiltBrier, WarningFigures, WarningRow

PAGE = "warnings.html"

SEED = 0
"""Seed of orders, tables of ten, and of the faults of patients."""

MOST_UNUSUAL = 1e6
"""Distance from ordinary tables that is added where reading refuses a value."""

TABLES = 200
"""Tables of ten patients that are judged together."""

SPOILT, DRAWS = 0.25, 10
"""Share of the patients whose tables are spoilt for the effect of abstention, and draws of these patients."""


def run_warnings(run: Path, cohort: str, data: Path | None, fold: int) -> WarningFigures:
    """Plant faults into the tables of held-out patients, and count what is found.

    Args:
        run: folder of a finished run with an assessment.
        cohort: name or folder of the cohort that it was trained on.
        data: folder of public data.
        fold: which the run held out.

    Raises:
        InputError: if run or cohort cannot be read, are not about patients, or lack an assessment or the fold.
    """
    network, federation = _network(run)
    with open_cohort(cohort, data=data) as opened:
        sites = [read_cohort(site, federation) for site in find_sites(opened.folder)]
        name = opened.name
    batch = concatenate([site.batch.select(site.fold == fold) for site in sites])
    if not len(batch):
        raise OptionError(
            f"--fold {fold}", f"has no patient of {name}", "name the fold that the run held out"
        )
    rows = [_row("none", network, batch, torch.ones(len(batch), dtype=torch.bool), None)]
    rows += [
        _row(fault.title, network, batch, fault.rows(batch), fault) for fault in faults(federation, SEED)
    ]
    task = next((task for task in federation.tasks if task.form is OutcomeForm.TIME_TO_EVENT), None)
    figures = WarningFigures(cohort=name, task=None, horizon=None, rows=tuple(rows))
    return figures if task is None else _with_accuracy(figures, network, federation, task.name, batch)


def _network(run: Path) -> tuple[Network, Federation]:
    federation, result = load_agreement(run / FILE_NAME), load_result(run)
    if not isinstance(federation, Federation):
        raise OptionError(str(run), "is about no patients, whose tables are judged", "name another run")
    structure = assessed_members(run, federation, result.weights).get(STRUCTURE)
    if structure is None:
        what = "has no sums about the structure of tables"
        raise OptionError(
            str(run), what, "run it again without [privacy], with a table of 60 columns or more"
        )
    remedy = f"put back the {FILE_NAME} that the run was made with, or run it again"
    network = network_of(federation, run, result.weights, result.preprocessing, f"{run}/", remedy)
    return Network(**{**vars(network), "structure": structure}), federation


def _row(title: str, network: Network, batch: PatientBatch, there: Tensor, fault: Fault | None) -> WarningRow:
    """Judge the patients of one fault, each alone."""
    chosen = batch.select(there)
    spoilt = chosen if fault is None else fault.planted(chosen)
    answers = answers_alone(network, spoilt)
    together = None
    if fault is not None and fault.is_shared and len(chosen) >= TOGETHER:
        together = _together(network, chosen, fault)
    return WarningRow(
        fault=title,
        patients=len(chosen),
        warned=float(np.mean([answer is not Answer.FINE for answer in answers])),
        withheld=float(np.mean([answer is Answer.NONE for answer in answers])),
        together=together,
    )


def answers_alone(network: Network, raw: PatientBatch) -> list[Answer]:
    """Answer for every patient as if nobody else were in the tables.

    Nobody is predicted whose values reading refuses.
    """
    federation = network.federation
    assert isinstance(federation, Federation)
    judgement, refused = checked(network, raw), is_refused(raw, federation)
    answers = []
    for row, findings in enumerate(judgement.patients):
        alone = [finding.answer for finding in findings if finding not in judgement.table]
        worst = max(alone, key=list(Answer).index, default=Answer.FINE)
        answers.append(Answer.NONE if refused[row] else worst)
    return answers


def _together(network: Network, chosen: PatientBatch, fault: Fault) -> float:
    """Share of tables of ten patients about which something is found over all of them."""
    draw = torch.Generator().manual_seed(SEED)
    number = 0
    for _ in range(TABLES):
        ten = chosen.select(torch.randperm(len(chosen), generator=draw)[:TOGETHER])
        number += bool(checked(network, fault.planted(ten)).table)
    return number / TABLES


def _with_accuracy(
    figures: WarningFigures, network: Network, federation: Federation, name: str, batch: PatientBatch
) -> WarningFigures:
    """Add the accuracy of those who are left, and the effect of abstention on spoilt tables."""
    prepared = network.preprocessing
    assert isinstance(prepared, Preprocessing)
    task = next(task for task in federation.tasks if task.name == name)
    horizon = float(prepared.cuts[name][task.outputs // 2])
    labelled = batch.select(batch.labelled[name].all(1))
    labels, labelled_cells = labelled.labels[name].double().numpy(), labelled.labelled[name].numpy()
    prediction, risk = _risk(network, labelled, name, horizon)
    coverage = risk_coverage(
        task, prediction, labels, labelled_cells, risk, horizon, checked(network, labelled).distance
    )
    draws = [_abstention(network, federation, labelled, name, horizon, seed) for seed in range(DRAWS)]
    return figures.model_copy(
        update={
            "task": name,
            "horizon": horizon,
            "coverage": tuple(coverage),
            "spoilt": SpoiltBrier(
                spoilt=float(np.mean([draw.spoilt for draw in draws])),
                answered=float(np.mean([draw.answered for draw in draws])),
                everybody=_mean([draw.everybody for draw in draws]),
                rest=_mean([draw.rest for draw in draws]),
                coverage={share: _mean([draw.coverage[share] for draw in draws]) for share in SHARES},
            ),
        }
    )


def _mean(scores: Sequence[float | None]) -> float | None:
    values = [score for score in scores if score is not None]
    return float(np.mean(values)) if len(values) == len(scores) else None


def _abstention(
    network: Network, federation: Federation, batch: PatientBatch, name: str, horizon: float, seed: int
) -> SpoiltBrier:
    """Spoil the tables of some patients, and score all of them and those who are predicted."""
    spoilt, share = _spoilt(batch, list(faults(federation, SEED)), seed)
    labels = batch.labels[name].double().numpy()
    answers = np.array([answer is not Answer.NONE for answer in answers_alone(network, spoilt)])
    risk = _risk(network, spoilt, name, horizon)[1]
    distance = checked(network, spoilt).distance + is_refused(spoilt, federation).numpy() * MOST_UNUSUAL
    order = np.argsort(distance, kind="stable")
    everybody = np.arange(len(batch))
    return SpoiltBrier(
        spoilt=share,
        answered=float(answers.mean()),
        everybody=brier_of(labels, risk, horizon, everybody),
        rest=brier_of(labels, risk, horizon, np.flatnonzero(answers)),
        coverage={
            part: brier_of(labels, risk, horizon, order[: max(1, round(part * len(order)))])
            for part in SHARES
        },
    )


def _risk(
    network: Network, batch: PatientBatch, name: str, horizon: float
) -> tuple[SurvivalPrediction, "np.typing.NDArray[np.float64]"]:
    prediction = predict(network, batch)[name]
    assert isinstance(prediction, SurvivalPrediction)
    return prediction, 1 - prediction.at([horizon])[:, 0]


def _spoilt(batch: PatientBatch, planted: Sequence[Fault], seed: int) -> tuple[PatientBatch, float]:
    """Plant one fault each into a share of the patients, and return it: not all have the table."""
    draw = torch.Generator().manual_seed(seed)
    chosen = torch.randperm(len(batch), generator=draw)[: round(SPOILT * len(batch))]
    values = {name: part.clone() for name, part in batch.values.items()}
    observed = {name: part.clone() for name, part in batch.observed.items()}
    number = 0
    for index, fault in enumerate(planted):
        rows = chosen[index :: len(planted)]
        rows = rows[fault.rows(batch)[rows]]
        spoilt = fault.planted(batch)
        for name in values:
            values[name][rows] = spoilt.values[name][rows]
            observed[name][rows] = spoilt.observed[name][rows]
        number += len(rows)
    return PatientBatch(values, observed, batch.labels, batch.labelled), number / max(len(batch), 1)


def write_warnings(figures: WarningFigures, out: Path) -> None:
    """Write the figures and their page into a folder.

    Raises:
        OSError: if they cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    figures.write(out / FIGURES)
    write_whole(out / PAGE, render_warnings(figures).encode())


def warnings_table(figures: WarningFigures) -> str:
    """Write Markdown tables of the figures."""
    head = ["fault", "patients", "found", "of them not predicted", "found over ten patients"]
    rows = [
        [
            row.fault,
            str(row.patients),
            f"{row.warned:.1%}",
            f"{row.withheld:.1%}",
            "" if row.together is None else f"{row.together:.1%}",
        ]
        for row in figures.rows
    ]
    text = [markdown("lrrrr", [head, *rows])]
    if figures.coverage:
        spoilt = {} if figures.spoilt is None else figures.spoilt.coverage
        points = [
            [
                f"{point.share:.0%}",
                str(point.patients),
                _number(point.brier),
                _number(point.concordance),
                _number(spoilt.get(point.share)),
            ]
            for point in figures.coverage
        ]
        head = ["predicted", "patients", "Brier", "concordance", "Brier, some spoilt"]
        text.append(markdown("rrrrr", [head, *points]))
    if figures.spoilt is not None:
        some = figures.spoilt
        text.append(
            f"With {some.spoilt:.0%} of the patients spoilt, each by one of the faults (mean of {DRAWS} draws): Brier "
            f"{_number(some.everybody)} over all, and {_number(some.rest)} over the "
            f"{some.answered:.0%} who are predicted."
        )
    task = "" if figures.task is None else f" {figures.task} by {figures.horizon:.3g}."
    text.append(
        f"Held-out patients of {figures.cohort}, each judged alone unless it says ten; the first row has the false "
        f"warnings.{task} {origin(figures.machine, figures.date)}."
    )
    return "\n\n".join(text)


def _number(value: float | None) -> str:
    return "—" if value is None else f"{value:.4f}"
