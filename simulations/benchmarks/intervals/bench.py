"""Benchmark `intervals`: coverage and calibration of a run on its held-out patients."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from common.evaluation.predictions import ClassPrediction, SurvivalPrediction
from common.tasks.task import OutcomeForm, Task
from common.validation.horizons import usual_horizons
from simulations.benchmarks.intervals.coverage import FEW, Coverage, coverage
from simulations.benchmarks.intervals.held_out import JudgedPatients, held_out, read_cohorts, run_network
from simulations.benchmarks.intervals.levels import LevelFigures, level_figures, table_of_levels
from simulations.benchmarks.intervals.methods import Method, conformal, dropped, own, taken_for_events
from simulations.benchmarks.measuring.record import markdown, origin
from simulations.results.machine import machine

SEED = 0
"""Seed of the random halves."""

Judged = tuple[list[tuple[str, Coverage]], list[LevelFigures]]
"""Task -> coverage of every method and level; and calibration of every task."""


def run_intervals(
    run: Path, cohort: str, data: Path | None, fold: int, splits: int, horizon: float | None
) -> Judged:
    """Judge intervals and calibration of a run's model on the patients that it was tested on.

    Times to an event and two classes are judged.

    Args:
        run: folder of the run.
        cohort: name or folder of the cohort that it was of.
        data: folder of public data.
        fold: that the run held out.
        splits: random halves.
        horizon: of a time; without one, the last usual one that a third of the follow-up holds.

    Raises:
        InputError: if run or cohort cannot be read, or do not belong together.
    """
    network, federation = run_network(run)
    cohorts = read_cohorts(cohort, data, federation, fold)
    least = federation.statistics.minimum_count
    covered: list[tuple[str, Coverage]] = []
    levels: list[LevelFigures] = []
    for task in federation.tasks:
        if not _is_judged(task):
            continue
        patients = held_out(network, task, cohorts, fold)
        for name, method in _methods(patients, least).items():
            covered += [(task.name, figures) for figures in coverage(name, method, patients, splits, SEED)]
        table = table_of_levels(network, federation, task, cohorts, fold, least)
        levels.append(level_figures(patients, table, _horizon(patients, horizon)))
    return covered, levels


def _is_judged(task: Task) -> bool:
    is_binary = task.form is OutcomeForm.CLASSES and len(task.outcome_names) == 2
    return is_binary or task.form is OutcomeForm.TIME_TO_EVENT


def _methods(patients: JudgedPatients, least: int) -> dict[str, Method]:
    methods: dict[str, Method] = {
        "the model's own": own,
        "conformal, of any hospital": conformal(1),
        f"conformal, {least} patients a number": conformal(least),
    }
    if isinstance(patients.prediction, SurvivalPrediction):
        methods |= {"censored dropped": dropped, "censoring taken for events": taken_for_events}
    return methods


def _horizon(patients: JudgedPatients, asked: float | None) -> float | None:
    if isinstance(patients.prediction, ClassPrediction):
        return None
    assert isinstance(patients.prediction, SurvivalPrediction)
    if asked is not None:
        return asked
    end = float(patients.prediction.times[-1])
    usual = usual_horizons(patients.task.outcome_unit, end)
    return max((time for time in usual if time <= end / 3), default=usual[0])


def intervals_table(judged: Judged) -> str:
    """Write Markdown tables of coverage and of calibration."""
    covered, levels = judged
    head = [
        "task",
        "method",
        "level",
        "held",
        "standard deviation",
        "median bound or size of the set",
        "splits",
    ]
    head += [f"worst hospital with {FEW} events"]
    rows = [
        [
            task,
            figures.method,
            f"{figures.level:.0%}",
            f"{figures.held:.3f}",
            f"{figures.deviation:.3f}",
            f"{figures.size:.1f}" if figures.splits else "none",
            str(figures.splits),
            "none so large" if figures.worst is None else f"{figures.worst:.3f} of {figures.judged}",
        ]
        for task, figures in covered
    ]
    return (
        f"{markdown('ll' + 'r' * (len(head) - 2), [head, *rows])}\n\n{_levels_table(levels)}\n\n"
        "Held: share of judged patients whose outcome is in the interval, mean over random halves of the held-out "
        "patients, the other half of which calibrates; of times by inverse probability of being uncensored. Splits: "
        "those in which there was an interval. Calibration: levels from the patients who neither trained nor tested; "
        f"Brier score beside that of the risk observed among these patients. {origin(machine(), datetime.now(UTC))}."
    )


def _levels_table(levels: Sequence[LevelFigures]) -> str:
    head = ["task", "horizon", "patients", "levels", "O/E before", "after", "Brier before", "after", "null"]
    head += [f"hospitals with {FEW} events", "further from 1 after"]
    rows = [
        [
            figures.task,
            "" if figures.horizon is None else f"{figures.horizon:g}",
            str(figures.patients),
            figures.fitted,
            *(f"{ratio:.3f}" for ratio in figures.ratio),
            *(f"{score:.4f}" for score in (*figures.brier, figures.null)),
            str(figures.judged),
            str(figures.further),
        ]
        for figures in levels
    ]
    return markdown("lrrl" + "r" * (len(head) - 4), [head, *rows])
