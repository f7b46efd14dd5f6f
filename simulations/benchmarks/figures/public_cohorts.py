"""Benchmark `figures`: every public cohort with the defaults, as in the README."""

from collections.abc import Sequence
from pathlib import Path

from common.counting import counted
from simulations.benchmarks.figures.simulated import run_cohort
from simulations.benchmarks.measuring.record import markdown, origin
from simulations.experiment.options import Options
from simulations.results.metrics import metric_name
from simulations.results.schema import ARMS, Arm, MetricSummary, SimulationResult, summarise

COHORTS: dict[str, int | None] = {
    "lung": None,
    "fed-heart": None,
    "fed-tcga-brca": None,
    "ici": None,
    "cdisc": None,
    "tcga-brca": 2,
    "tcga-pan5": 2,
}
"""Cohort -> number of folds to hold out in turn; None for all folds."""


UNKNOWN_SUMMARY = summarise([])


def run_figures(cohorts: Sequence[str], data: Path | None, seed: int, out: Path) -> list[SimulationResult]:
    """Simulate cohorts; a result that is already in `out` is not run again.

    Raises:
        InputError: if a cohort is unknown or its data are not there.
    """
    results = []
    for cohort in cohorts:
        written = out / cohort / "result.json"
        if not written.is_file() or SimulationResult.read(written).seed != seed:
            options = Options(folds=COHORTS.get(cohort), seed=seed, out=out / cohort, progress=True)
            run_cohort(cohort, data, options)
        results.append(SimulationResult.read(written))
    return results


def public_cohorts_table(results: Sequence[SimulationResult]) -> str:
    """Write a Markdown table of every task's headline metric by arm, with time and memory."""
    arms: list[Arm] = [
        arm for arm in ARMS if any(arm in outcome_arms for r in results for outcome_arms in r.tasks.values())
    ]
    head = ["cohort", "hospitals", "patients", "metric", *arms, "s / round", "minutes", "MB"]
    rows = [head]
    for result in results:
        seconds = [fold.seconds_per_round for fold in result.folds if fold.seconds_per_round is not None]
        for name, outcome in result.outcomes.items():
            label = result.cohort if len(result.outcomes) == 1 else f"{result.cohort}, {name}"
            rows.append(
                [
                    f"{label} ({counted(len(result.folds), 'fold')})",
                    str(len(result.hospitals)),
                    f"{sum(hospital.patients for hospital in result.hospitals.values()):,}",
                    metric_name(outcome.metric),
                    *(_cell(result.headline(name, arm)) for arm in arms),
                    f"{sum(seconds) / len(seconds):.2f}" if seconds else "",
                    f"{(result.seconds or 0) / 60:.1f}",
                    f"{result.peak_memory_mb or 0:.0f}",
                ]
            )
            if within := _within_subgroups(result, name, arms):
                rows.append(
                    ["  mean within subgroups", "", "", metric_name(outcome.metric), *within, "", "", ""]
                )
    conditions = origin(results[0].machine, max(result.date for result in results))
    table = markdown("llll" + "r" * (len(head) - 4), rows)
    return f"{table}\n\n{conditions}, seed {results[0].seed}."


def _within_subgroups(result: SimulationResult, task: str, arms: Sequence[Arm]) -> list[str]:
    """Headline metric within named subgroups, mean over subgroups.

    There is none where the hospitals are the subgroups.
    """
    scores_by_arm = [(result.headline(task, arm) or UNKNOWN_SUMMARY).groups for arm in arms]
    if not any(scores_by_arm) or all(set(groups) <= set(result.hospitals) for groups in scores_by_arm):
        return []
    cells = []
    for groups in scores_by_arm:
        defined = [score for score in groups.values() if score is not None]
        cells.append(f"{sum(defined) / len(defined):.3f}" if defined else "")
    return cells


def _cell(summary: MetricSummary | None) -> str:
    if summary is None or summary.mean is None:
        return ""
    return f"{summary.mean:.3f}" + (f" ± {summary.sd:.3f}" if summary.sd is not None else "")
