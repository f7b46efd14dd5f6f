"""Benchmark `robustness`: the model beside classical ones, all under perturbations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import mean

import numpy as np
import torch

from client.training.evaluation import logits
from common.agreement.federation import Federation
from common.errors import InputError
from common.evaluation.predictions import Prediction
from common.families.registry import family_of
from common.files import write_whole
from common.models.shared import SharedModel
from common.patients.batch import PatientBatch, concatenate
from common.patients.preprocessing import Preprocessing, unpack_preprocessing
from common.tasks.task import OutcomeForm, Task
from server.records.result import TrainedModel
from simulations.baselines import registry as baselines
from simulations.benchmarks.field.by_hospital import by_hospital
from simulations.benchmarks.field.changes import (
    Change,
    unchanged,
    with_fewer_labels,
    with_label_noise,
)
from simulations.benchmarks.field.cohort_runs import (
    CohortRuns,
    FieldRun,
    kept_when_interrupted,
    require_same_tables,
)
from simulations.benchmarks.field.perturbations import Perturbation, perturbations
from simulations.benchmarks.field.rows import OURS, FieldRow, Parts, applicable
from simulations.benchmarks.field.skew import ALPHAS, skewed
from simulations.benchmarks.measuring.record import Figures, markdown, origin
from simulations.cohorts.cohort_folder import CohortFolder, open_cohort, require_distinct
from simulations.engines.environment import unchanged_environment
from simulations.experiment.arms import read_trained
from simulations.experiment.linear_arm import initial_weights, linear_part
from simulations.experiment.preparing import state_in
from simulations.families.patients.hospitals import Hospitals
from simulations.report.robustness import render_robustness
from simulations.results.machine import Score
from simulations.results.metrics import metric_name
from simulations.results.robustness import FILE_NAME, MODELS, CohortRobustness, Condition, Robustness
from simulations.results.schema import ARM_NAMES, MISSING, Arm
from simulations.simulate import one_thread
from simulations.work_folder import work_folder

LABEL_NOISE = (0.1, 0.2, 0.3)
"""Shares of training patients whose labels are exchanged."""

LABELS_KEPT = (0.5, 0.25)
"""Shares of training patients whose labels are kept."""

PAGE = "robustness.html"
"""Page with the curves, beside the figures."""


class RunScores(Figures):
    """Scores of one training perturbation with one seed.

    Attributes:
        digests, folds: by which a file of other settings is recognised.
        scores: kind and level of a perturbation of held-out patients -> task -> model -> figure of every fold.
    """

    digests: dict[str, str]
    folds: tuple[int, ...]
    scores: tuple[tuple[str, str, dict[str, dict[Arm, tuple[Score, ...]]]], ...]


def run_robustness(
    cohorts: Sequence[str],
    data: Path | None,
    seeds: int,
    folds: int,
    out: Path | None,
    say: Callable[[str], None],
) -> Robustness:
    """Train and score conditions on cohorts; what is finished in `out` is not trained again.

    Figures and a page with their curves are written to `out`.

    Arguments as of `simulations.benchmarks.field.table.run_table`.

    Raises:
        InputError: if a cohort is unknown, its data are not there, or `out` holds runs on other tables of it.
    """
    require_distinct(cohorts)
    with kept_when_interrupted(out), ExitStack() as stack:
        kept = out or stack.enter_context(work_folder())
        measured = {}
        for name in cohorts:
            with open_cohort(name, data=data) as cohort:
                measured[cohort.name] = _of_cohort(cohort, range(seeds), folds, kept / cohort.name, say)
        figures = Robustness(cohorts=measured)
        if out is not None:
            figures.write(out / FILE_NAME)
            write_whole(out / PAGE, render_robustness(figures).encode())
        return figures


def _of_cohort(
    cohort: CohortFolder, seeds: Sequence[int], folds: int, out: Path, say: Callable[[str], None]
) -> CohortRobustness:
    conditions: list[Condition] = []
    left_out: dict[str, str] = {}
    with (
        unchanged_environment(),
        one_thread(),
        work_folder() as work,
        state_in(work),
    ):
        require_same_tables(cohort, out)
        runs = CohortRuns(cohort, seeds, folds, _new(work / "runs"), out)
        conditions += _conditions(runs, _rows(), out, say, left_out)
        with by_hospital(cohort, work / "by-hospital", folds) as hospitals:
            unseen = CohortRuns(hospitals, seeds, folds, _new(work / "unseen"), out / "unseen")
            rows = [FieldRow("unseen-hospital", "unseen hospital", _ours)]
            conditions += _conditions(unseen, rows, out / "unseen", say, left_out)
        about_numbers = runs.federation.tasks[0].form is OutcomeForm.NUMBER
        if about_numbers:
            left_out["label skew"] = "the first task is about numbers, which are no classes to divide by"
        for alpha in () if about_numbers else ALPHAS:
            name = f"label-skew-{alpha:g}"
            with skewed(cohort, work / name, alpha) as divided:
                uneven = CohortRuns(divided, seeds, folds, _new(work / f"{name}-runs"), out / name)
                rows = [FieldRow(name, f"label skew|alpha {alpha:g}", _ours)]
                conditions += _conditions(uneven, rows, out / name, say, left_out)
        tasks = runs.federation.tasks
        return CohortRobustness(
            headlines={task.name: task.headline_metric for task in tasks},
            conditions=tuple(conditions),
            left_out=left_out,
        )


def _new(folder: Path) -> Path:
    folder.mkdir()
    return folder


def _ours(federation: Federation) -> Parts:
    return {OURS: unchanged}


def _rows() -> list[FieldRow]:
    """Rows of perturbed training; the first is as it is, for perturbed patients."""
    noisy = [_row("label noise", share, with_label_noise(share)) for share in LABEL_NOISE]
    fewer = [_row("labels kept", share, with_fewer_labels(share)) for share in LABELS_KEPT]
    return [FieldRow(OURS, OURS, _ours), *noisy, *fewer]


def _row(kind: str, share: float, change: Change) -> FieldRow:
    """Return the row of a change; its title has the kind and the level, before and after a bar."""
    name = f"{kind.replace(' ', '-')}-{100 * share:.0f}"
    return FieldRow(name, f"{kind}|{share:.0%}", lambda federation: {name: change})


def _conditions(
    runs: CohortRuns,
    rows: Sequence[FieldRow],
    out: Path,
    say: Callable[[str], None],
    left_out: dict[str, str],
) -> Iterator[Condition]:
    """Scores of trained rows, of our row under every perturbation of held-out patients.

    Rows that could not be trained are noted in `left_out`.
    """
    kept, _ = applicable(rows, runs.federation)
    failed = runs.train(kept, lambda done, all_: say(f"{runs.name}: {done} of {all_} runs"))
    for name, (row, parts) in kept.items():
        if row.title in failed:
            left_out[row.title.replace("|", " ")] = failed[row.title]
            continue
        changes = perturbations(runs.federation) if name == OURS else perturbations(runs.federation)[:1]
        by_seed = [_scored(runs, name, parts, seed, changes, out) for seed in runs.seeds]
        for number, (kind, level, first) in enumerate(by_seed[0].scores):
            if name != OURS:
                kind, _, level = row.title.partition("|")
            yield Condition(
                kind=kind,
                level=level,
                scores={
                    task: {
                        arm: tuple(_mean(run.scores[number][2][task].get(arm, ())) for run in by_seed)
                        for arm in models
                    }
                    for task, models in first.items()
                },
            )


def _scored(
    runs: CohortRuns, name: str, parts: Parts, seed: int, changes: Sequence[Perturbation], out: Path
) -> RunScores:
    """Score a trained run, or read the scores that an earlier call kept."""
    (run,) = runs.runs(parts, seed)
    digests = {name: run.agreement.federation.digest}
    path = out / f"robustness-{name}-seed{seed}.json"
    if path.is_file():
        kept = RunScores.model_validate_json(path.read_bytes())
        if (kept.digests, kept.folds) == (digests, runs.folds):
            return kept
    scores: list[dict[str, dict[Arm, list[Score]]]] = [{} for _ in changes]
    for fold in runs.folds:
        for number, tasks in enumerate(_of_fold(run, fold, seed, changes)):
            for task, models in tasks.items():
                for arm, score in models.items():
                    scores[number].setdefault(task, {}).setdefault(arm, []).append(score)
    figures = RunScores(
        digests=digests,
        folds=runs.folds,
        scores=tuple(
            (
                change.kind,
                change.level,
                {
                    task: {arm: tuple(by_fold) for arm, by_fold in models.items()}
                    for task, models in of.items()
                },
            )
            for change, of in zip(changes, scores, strict=True)
        ),
    )
    figures.write(path)
    return figures


def _of_fold(
    run: FieldRun, fold: int, seed: int, changes: Sequence[Perturbation]
) -> Iterator[dict[str, dict[Arm, Score]]]:
    """Task -> model -> headline metric, under one perturbation after the other.

    All models are fitted once, and predict the perturbed patients side by side.
    """
    federation = run.agreement.federation
    assert isinstance(federation, Federation)
    job = run.jobs[fold]
    trained = read_trained(job.out).result
    preprocessing = unpack_preprocessing(trained.preprocessing)
    training, held = (
        preprocessing.apply(patients)
        for patients in Hospitals(job.sites, federation, (fold,), False).split(fold)
    )
    copies = concatenate([change.apply(held, seed) for change in changes])
    by_arm = _networks(run, federation, trained, preprocessing, copies)
    for task in federation.tasks:
        for arm, prediction in _classical(task, training, copies, preprocessing, seed).items():
            by_arm.setdefault(arm, {})[task.name] = prediction
    for number in range(len(changes)):
        rows = np.arange(len(held)) + number * len(held)
        yield {
            task.name: {
                arm: _score(task, tasks[task.name].select(rows), held)
                for arm, tasks in by_arm.items()
                if task.name in tasks
            }
            for task in federation.tasks
        }


def _networks(
    run: FieldRun,
    federation: Federation,
    trained: TrainedModel,
    preprocessing: Preprocessing,
    test: PatientBatch,
) -> dict[Arm, dict[str, Prediction]]:
    """Predictions of the kept weights, and of their linear part where rounds fit it."""
    family = family_of(federation)
    public = family.public(federation, run.agreement.path.parent)
    model: SharedModel = family.model(federation, public, federation.training.seed)
    weights = {"federated": trained}
    if federation.linear_rounds:
        weights["federated_linear"] = linear_part(trained, initial_weights(model), model)
    predictions: dict[Arm, dict[str, Prediction]] = {}
    for arm in ("federated", "federated_linear"):
        if arm in weights:
            arrays = weights[arm].weights
            model.load_state_dict({name: torch.from_numpy(array) for name, array in arrays.items()})
            outputs = logits(model, test)
            predictions[arm] = {
                task.name: task.predict(outputs[task.name], preprocessing.cuts.get(task.name))
                for task in federation.tasks
            }
    return predictions


def _classical(
    task: Task, training: PatientBatch, test: PatientBatch, preprocessing: Preprocessing, seed: int
) -> dict[Arm, Prediction]:
    """Predictions of the pooled linear model and forest that can be fitted."""
    predictions: dict[Arm, Prediction] = {}
    for arm in baselines.applicable(task):
        if arm in MODELS:
            try:
                cuts = preprocessing.cuts.get(task.name)
                predictions[arm] = baselines.fit_predict(arm, task, training, test, cuts, seed)
            except (InputError, ValueError, ArithmeticError):
                continue  # its library cannot fit it, such as to one outcome only: the cell stays empty
    return predictions


def _score(task: Task, prediction: Prediction, held: PatientBatch) -> Score:
    labels, labelled = held.labels[task.name].double().numpy(), held.labelled[task.name].numpy()
    score = task.headline(prediction, labels, labelled)
    return score if np.isfinite(score) else None


def _mean(figures: Sequence[Score]) -> Score:
    defined = [figure for figure in figures if figure is not None]
    return mean(defined) if defined else None


def robustness_table(figures: Robustness) -> str:
    """Write a Markdown table per cohort and task: a row per condition, a column per model."""
    parts = []
    for name, cohort in figures.cohorts.items():
        for task, metric in cohort.headlines.items():
            arms = cohort.arms(task)
            rows = [["perturbation", "level", *(ARM_NAMES[arm] for arm in arms)]]
            for condition in cohort.conditions:
                cells = [_cell(condition.mean(task, arm)) for arm in arms]
                rows.append([condition.kind, condition.level, *cells])
            title = f"{name}, {task}: {metric_name(metric)}"
            parts.append(f"{title}\n\n{markdown('ll' + 'r' * len(arms), rows)}")
        if cohort.left_out:
            reasons = "; ".join(f"{title} ({reason})" for title, reason in cohort.left_out.items())
            parts.append(f"Left out for {name}: {reasons}.")
    parts.append(
        "Means over seeds and folds. Noise is in standard deviations of a column. Labels are exchanged, or kept, of a "
        "share of every hospital's training patients. Label skew: patients are divided anew among hospitals of the "
        "same sizes, by outcomes drawn from a Dirichlet distribution; less alpha is more skew, and pooled models "
        "see the same patients in another order. Unseen hospitals are the largest ones, and their patients were "
        f"never trained on. {origin(figures.machine, figures.date)}."
    )
    return "\n\n".join(parts)


def _cell(score: Score) -> str:
    return MISSING if score is None else f"{score:.3f}"
