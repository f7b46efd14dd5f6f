"""Result of a search as a table on the terminal."""

import math
import shlex

from rich.console import Console
from rich.text import Text

from common.counting import counted
from common.folding_table import FoldingTable
from simulations.results.metrics import metric_name
from simulations.results.schema import MISSING
from simulations.tuning.result import JudgedSetting, TuningResult


def print_tuning(result: TuningResult, console: Console) -> None:
    """Print the settings of a search, the best first, and the choice."""
    grid = f"{counted(result.inner_folds, 'inner fold')} x {counted(len(result.seeds), 'seed')}"
    title = f"{result.cohort}, fold {result.closed_fold} closed, {grid}"
    console.print(Text(title, style="bold"))
    for question, score in result.file_scores.items():
        mean = MISSING if score.mean is None else f"{score.mean:.3f}"
        console.print(Text(f"{question}, {metric_name(score.metric)} of the file's own settings: {mean}"))
    console.print(
        Text("Difference: setting minus the file's own, mean over pairs of runs, with its interval")
    )
    console.print(_table(result))
    for sentence in sentences(result):
        console.print(Text(sentence), soft_wrap=True)


def sentences(result: TuningResult) -> list[str]:
    """State the choice, and what is left to be done."""
    said = []
    if result.outcome == "better" and result.chosen is not None:
        chosen = {**result.changed, **result.chosen}
        said.append("Better than the file's own settings:")
        said.append(" ".join(f"--set {shlex.quote(f'{key}={value}')}" for key, value in chosen.items()))
    elif result.outcome == "none better":
        said.append("No setting is better than the file's own: no interval lies above 0.")
    else:
        said.append("Nothing can be said yet: an interval needs runs on two inner folds.")
    if not result.is_complete:
        left = counted(result.runs - result.finished, "run")
        said.append(f"{left} of {result.runs:,} not done: the same command goes on.")
    return said


def _table(result: TuningResult) -> FoldingTable:
    table = FoldingTable()
    table.add_column("Setting")
    for head in ("Difference", "Interval", "Pairs"):
        table.add_column(head, justify="right")
    table.add_column("Verdict")
    for setting in sorted(result.settings, key=_worst_last):
        interval = MISSING
        if setting.low is not None and setting.high is not None:
            interval = f"{setting.low:+.3f} to {setting.high:+.3f}"
        table.add_row(
            Text("\n".join(f"{key}={value}" for key, value in setting.settings.items())),
            MISSING if setting.difference is None else f"{setting.difference:+.3f}",
            interval,
            f"{setting.pairs} of {result.inner_folds * len(result.seeds)}",
            setting.verdict,
            style="bold" if setting.settings == result.chosen else "",
        )
    return table


def _worst_last(setting: JudgedSetting) -> float:
    return math.inf if setting.difference is None else -setting.difference
