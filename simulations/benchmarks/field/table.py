"""Benchmark `table`: the model beside other models of the same patients, and ablations."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from simulations.benchmarks.field.cohort_runs import CohortRuns, kept_when_interrupted, require_same_tables
from simulations.benchmarks.field.figures import CohortSummary, FieldTable, MetricFigures, summarise_row
from simulations.benchmarks.field.rows import ABLATIONS, OURS, ROWS, FieldRow, applicable
from simulations.benchmarks.measuring.record import markdown
from simulations.cohorts.cohort_folder import CohortFolder, open_cohort, require_distinct
from simulations.engines.environment import unchanged_environment
from simulations.experiment.preparing import state_in
from simulations.report.words.text import MINUS, paired_text
from simulations.results.metrics import lower_is_better, metric_name
from simulations.results.schema import MISSING
from simulations.simulate import one_thread
from simulations.work_folder import work_folder

COHORTS = ("tcga-pan5", "tcga-brca", "tcga-luad", "ici", "cdisc")
"""Public cohorts of the table."""


METRICS = {
    "survival": ("c_index", "integrated_brier"),
    "response": ("accuracy", "precision", "recall", "f1", "auroc"),
    "toxicity": ("auroc",),
}
"""Kind of task -> metrics that are shown, where not all are."""


TABLE = "table.json"
ABLATION_TABLE = "ablations.json"


def run_table(
    cohorts: Sequence[str],
    data: Path | None,
    seeds: int,
    folds: int,
    ablations: bool,
    out: Path | None,
    say: Callable[[str], None],
) -> FieldTable:
    """Train and score all rows on cohorts; what is finished in `out` is not trained again.

    Args:
        cohorts: names of cohorts of patients, or folders.
        data: folder of public data.
        seeds: number of seeds, from 0.
        folds: number of folds to hold out in turn.
        ablations: the rows of ablations in place of the table of the field.
        out: folder of finished runs, figures and the table; None keeps nothing.
        say: called with a line of progress.

    Raises:
        InputError: if a cohort is unknown, its data are not there, or `out` holds runs on other tables of it.
    """
    require_distinct(cohorts)
    with kept_when_interrupted(out), ExitStack() as stack:
        kept = out or stack.enter_context(work_folder())
        summaries = {}
        for name in cohorts:
            with open_cohort(name, data=data) as cohort:
                summaries[cohort.name] = _of_cohort(
                    cohort, range(seeds), folds, ABLATIONS if ablations else ROWS, kept, say
                )
        table = FieldTable(cohorts=summaries)
        table.write(None if out is None else out / (ABLATION_TABLE if ablations else TABLE))
        return table


def _of_cohort(
    cohort: CohortFolder,
    seeds: Sequence[int],
    folds: int,
    rows: Sequence[FieldRow],
    out: Path,
    say: Callable[[str], None],
) -> CohortSummary:
    with (
        unchanged_environment(),
        one_thread(),
        work_folder() as work,
        state_in(work),
    ):
        require_same_tables(cohort, out / cohort.name)
        runs = CohortRuns(cohort, seeds, folds, work, out / cohort.name)
        kept, left_out = applicable(rows, runs.federation)

        def done(finished: int, all_: int) -> None:
            say(f"{cohort.name}: {finished} of {all_} runs")

        failed = runs.train(kept, done)
        kept = {name: pair for name, pair in kept.items() if pair[0].title not in failed}
        figures = {name: runs.figures(row, parts) for name, (row, parts) in kept.items()}
        headlines = {task.name: task.headline_metric for task in runs.federation.tasks}
        ours = figures.get(OURS, [])
        return CohortSummary(
            headlines=headlines,
            kinds={task.name: task.kind for task in runs.federation.tasks},
            seeds=tuple(seeds),
            folds=runs.folds,
            rows={
                name: summarise_row(kept[name][0].title, of_row, ours, headlines)
                for name, of_row in figures.items()
            },
            left_out=left_out | failed,
        )


def field_table(table: FieldTable) -> str:
    """Write a Markdown table per cohort and task, and the rows that are left out."""
    parts = []
    for name, cohort in table.cohorts.items():
        parts += [f"{name}, {task}\n\n{_task_table(cohort, task)}" for task in cohort.headlines]
        if cohort.left_out:
            reasons = "; ".join(f"{title} ({reason})" for title, reason in cohort.left_out.items())
            parts.append(f"Left out for {name}: {reasons}.")
    parts.append(
        "Means ± standard deviations over seeds; intervals are of 95% and draw seeds and folds anew. A "
        f"patient without the modality of a row has a prediction too, from nothing observed. {table.origin}."
    )
    return "\n\n".join(parts)


def _task_table(cohort: CohortSummary, task: str) -> str:
    rows = {name: row for name, row in cohort.rows.items() if task in row.metrics}
    scored = dict.fromkeys(metric for row in rows.values() for metric in row.metrics[task])
    shown = [metric for metric in METRICS.get(cohort.kinds[task], scored) if metric in scored]
    heads = [
        metric_name(metric) + (" (lower is better)" if lower_is_better(metric) else "") for metric in shown
    ]
    difference = f"ours {MINUS} row, {metric_name(cohort.headlines[task])}"
    lines = [["model", *heads, difference]]
    for name, row in rows.items():
        cells = [_cell(row.metrics[task].get(metric)) for metric in shown]
        lines.append([row.title, *cells, "" if name == OURS else paired_text(row.paired.get(task))])
    return markdown("l" + "r" * (len(shown) + 1), lines)


def _cell(figures: MetricFigures | None) -> str:
    if figures is None or figures.mean is None:
        return MISSING
    return f"{figures.mean:.3f}" + ("" if figures.sd is None else f" ± {figures.sd:.3f}")
