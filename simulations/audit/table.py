"""Terminal tables of an audit, and its verdict."""

from rich.console import Console
from rich.text import Text

from common.folding_table import FoldingTable
from simulations.audit.report import Audit, Estimate, Row
from simulations.report.plots.style import readable
from simulations.results.metrics import metric_name


def print_audit(audit: Audit, console: Console) -> None:
    """Print the attacks, scores and conditions of an audit."""
    console.print(Text("Information that a trained model gives away about its patients", style="bold"))
    console.print(_attacks(audit))
    console.print(
        Text("Scores of the models on other patients: mean and deviation over models", style="bold")
    )
    console.print(_scores(audit))
    for line in _notes(audit):
        console.print(Text(line))


def _attacks(audit: Audit) -> FoldingTable:
    table = FoldingTable()
    heads = ("Epsilon\nclaimed", "Loss attack\nAUC", "Loss attack\nTPR at 1% FPR", "LiRA\nAUC")
    for head in (*heads, "LiRA\nTPR at 1% FPR", "Epsilon\nat least"):
        table.add_column(head, justify="right")
    for row in audit.rows:
        table.add_row(
            "no DP" if row.claimed is None else f"{row.claimed:.2f}",
            _area(row.loss.auc),
            _share(row.loss.true_positives),
            _area(row.lira.auc),
            _share(row.lira.true_positives),
            f"{row.one_run.bound:.2f}",
            style="red" if row.refuted else "",
        )
    return table


def _scores(audit: Audit) -> FoldingTable:
    table = FoldingTable()
    table.add_column("Training")
    for task, metric in audit.metrics.items():
        table.add_column(f"{readable(task)}\n{metric_name(metric)}", justify="right")
    table.add_column("loss,\nmembers", justify="right")
    table.add_column("loss,\nothers", justify="right")
    for row in audit.rows:
        scores = (f"{mean:.2f} ± {deviation:.2f}" for mean, deviation in row.scores.values())
        table.add_row(row.name, *scores, f"{row.member_loss:.2f}", f"{row.other_loss:.2f}")
    return table


def _area(estimate: Estimate) -> str:
    return f"{estimate.value:.2f} ± {_half(estimate):.2f}"


def _share(estimate: Estimate) -> str:
    return f"{100 * estimate.value:.1f} ± {100 * _half(estimate):.1f}%"


def _half(estimate: Estimate) -> float:
    return (estimate.high - estimate.low) / 2


def _notes(audit: Audit) -> list[str]:
    first, on = audit.rows[0].one_run, audit.machine
    right = ", ".join(f"{row.one_run.correct} ({row.name})" for row in audit.rows)
    notes = [
        f"{audit.patients} synthetic patients of one hospital; {audit.models} models of a random half each, "
        f"{audit.rounds} rounds without an early stop: a worst case. ± is half of a 95% interval over models.",
        f"Epsilon at least: 95% confidence at delta {audit.delta:g}, from one run with {first.canaries} canaries. "
        f"Right guesses of {first.guesses}: {right}. If all were right, the bound would be {first.ceiling:.2f}: "
        "larger epsilons cannot be refuted.",
        f"{audit.date:%Y-%m-%d}; {on.processor}, one of {on.cores} cores; Python {on.python}, PyTorch {on.torch}; "
        f"{audit.seconds:.0f} s. Seed {audit.seed}; noise and sampling have none, so private figures vary a little.",
    ]
    return notes + [refutation(row) for row in audit.rows if row.refuted]


def refutation(row: Row) -> str:
    """Explain a refuted claim."""
    return (
        f"{row.name}: the run gives away more than it claims: epsilon is above {row.one_run.bound:.2f} with 95% "
        f"confidence, and {row.claimed:.2f} is claimed. Do not train with this build: its clipping, noise or "
        "sampling is not what is accounted for."
    )
