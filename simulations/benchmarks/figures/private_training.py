"""Benchmark `privacy`: accuracy that privacy costs on public cohorts, as in docs/privacy.md."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, stdev

from scipy.stats import t as student

from common.errors import OptionError
from simulations.benchmarks.figures.simulated import run_cohort
from simulations.benchmarks.measuring.record import markdown, origin
from simulations.experiment.options import Options
from simulations.results.metrics import metric_name
from simulations.results.schema import MISSING, MetricSummary, SimulationResult


@dataclass(frozen=True)
class Case:
    """Cohort at epsilons and a delta, scored by one metric.

    `by_hospital` takes the mean of `metric` over hospitals.
    """

    cohort: str
    epsilons: tuple[float, ...]
    delta: float
    metric: str
    fold: int | None = None
    by_hospital: bool = False


CASES = (
    # FLamby's measure: accuracy, the mean over the four hospitals' own test patients.
    Case("fed-heart", (1.0,), 1e-3, "accuracy", by_hospital=True),
    Case("fed-heart", (1.0,), 1e-4, "accuracy", by_hospital=True),
    Case("fed-heart", (8.0, 3.0, 1.0), 1e-3, "auroc"),
    Case("fed-tcga-brca", (8.0, 3.0, 1.0), 1e-3, "c_index"),
    Case("tcga-pan5", (8.0, 3.0, 1.0), 1e-3, "c_index", fold=1),
)


DRAWS = 20
"""Runs of a case, each with a seed and noise of its own: a mean over fewer is no figure of a random mechanism."""


def run_case(case: Case, data: Path | None, out: Path, draws: int = DRAWS) -> list[SimulationResult]:
    """Simulate a case as often as asked; a result that is already in `out` is not run again.

    Raises:
        InputError: if the cohort's data are not there.
    """
    results = []
    for seed in range(draws):
        folder = (
            out / f"{case.cohort}-{case.delta:g}-{'-'.join(f'{e:g}' for e in case.epsilons)}" / f"seed{seed}"
        )
        written = folder / "result.json"
        if not written.is_file():
            options = Options(
                fold=case.fold,
                seed=seed,
                epsilons=case.epsilons,
                delta=case.delta,
                out=folder,
                progress=True,
            )
            run_cohort(case.cohort, data, options)
        results.append(SimulationResult.read(written))
    return results


def run_all(
    cohorts: Sequence[str] | None, data: Path | None, out: Path, draws: int = DRAWS
) -> list[tuple[Case, list[SimulationResult]]]:
    """Run all cases, or the cases of some cohorts.

    Raises:
        InputError: for a cohort without a case, or whose data are not there.
    """
    chosen = [case for case in CASES if cohorts is None or case.cohort in cohorts]
    if unknown := set(cohorts or ()) - {case.cohort for case in CASES}:
        choices = ", ".join(dict.fromkeys(case.cohort for case in CASES))
        raise OptionError(min(unknown), "is not among the cohorts of this table", f"choose from {choices}")
    return [(case, run_case(case, data, out, draws)) for case in chosen]


def privacy_table(cases: Sequence[tuple[Case, list[SimulationResult]]]) -> str:
    """Write a Markdown table: mean and 95% t-interval over draws, and the machine."""
    head = ["cohort", "draws", "metric", "privacy", "noise", "spent", "federated", "hospital alone", "pooled"]
    rows = [head]
    for case, results in cases:
        rows += _rows(case, results)
    last = cases[-1][1][-1]
    return f"{markdown('llll' + 'r' * 5, rows)}\n\n{origin(last.machine, last.date)}."


def _rows(case: Case, results: list[SimulationResult]) -> Iterator[list[str]]:
    task = next(iter(results[0].tasks))
    name = metric_name(case.metric) + (", mean over hospitals" if case.by_hospital else "")
    first = [case.cohort, str(len(results)), name]
    others = [
        _over(case, [result.tasks[task].get(arm, {}) for result in results]) for arm in ("local", "pooled")
    ]
    together = [result.tasks[task].get("federated", {}) for result in results]
    yield [*first, "none", "", "", _over(case, together), *others]
    for index, epsilon in enumerate(case.epsilons):
        runs = [result.privacy[index] for result in results]
        spent = max(run.spent for run in runs if run.spent is not None)
        private = _over(case, [run.tasks.get(task, {}) for run in runs])
        terms = f"({epsilon:g}, {case.delta:g})"
        yield [*first, terms, f"{runs[0].noise_multiplier:.2f}", f"{spent:.2f}", private, "", ""]


def _over(case: Case, metrics: Sequence[dict[str, MetricSummary]]) -> str:
    figures = []
    for scores in metrics:
        summary = scores.get(case.metric)
        if summary is None:
            continue
        groups = [value for value in summary.groups.values() if value is not None]
        figure = mean(groups) if case.by_hospital and groups else summary.mean
        figures += [] if figure is None else [figure]
    if not figures:
        return MISSING
    return mean_text(figures)


def mean_text(figures: Sequence[float]) -> str:
    """Format a mean with its 95% interval by Student's t, as in `0.857 (0.842 to 0.872)`.

    One figure has no interval.
    """
    middle = mean(figures)
    if len(figures) < 2:
        return f"{middle:.3f}"
    half = float(student.ppf(0.975, len(figures) - 1)) * stdev(figures) / len(figures) ** 0.5
    return f"{middle:.3f} ({middle - half:.3f} to {middle + half:.3f})"
