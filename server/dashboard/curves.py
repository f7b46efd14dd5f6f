"""Curves of a run: losses, concordance and seconds by round."""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from common.agreement.agreement import Agreement
from common.agreement.labels import task_label
from common.pages.charts.axes import AxisMark, ChartAxis
from common.pages.charts.lines import ChartLine, line_chart
from common.pages.figure import Chart, figure
from server.records.history import RunHistory
from server.records.journal import RoundFigures

MOST_POINTS = 400
"""Points of a line; of more rounds, the lowest and the highest value of each stretch are drawn."""


Point = tuple[float, float]


def curves(history: RunHistory, federation: Agreement | None) -> Markup:
    """Draw the rounds of a run so far; empty before the first that counts.

    Figures of round r are about the weights that were sent out, those after round r - 1; they are drawn there.
    """
    rounds = [record for record in history.rounds if record.applied]
    last = history.last
    kept = [] if last is None or last.best_round is None else [AxisMark(last.best_round, "kept")]
    planned = None if federation is None else float(federation.training.rounds)
    charts = [
        *_losses(rounds, kept, planned),
        *_concordance(rounds, kept, planned, federation),
        *_seconds(history.rounds, planned),
    ]
    if not charts:
        return Markup("")
    caption = (
        "Training loss: mean per training patient. Validation loss and concordance: of the weights before the round, "
        "over the hospitals' validation patients. Seconds: from the requests to the last reply."
    )
    return figure(charts, caption)


def thinned(points: Sequence[Point], most: int = MOST_POINTS) -> list[Point]:
    """Keep, of many points, the lowest and the highest of each stretch, and the last one."""
    if len(points) <= most:
        return list(points)
    size = math.ceil(2 * len(points) / most)
    kept: list[Point] = []
    for start in range(0, len(points), size):
        stretch = range(start, min(start + size, len(points)))
        ends = {
            min(stretch, key=lambda index: points[index][1]),
            max(stretch, key=lambda index: points[index][1]),
        }
        kept += [points[index] for index in sorted(ends)]
    return kept if kept[-1] == points[-1] else [*kept, points[-1]]


def _losses(rounds: Sequence[RoundFigures], kept: list[AxisMark], planned: float | None) -> list[Chart]:
    training = _points((record.round, record.training_loss) for record in rounds)
    validation = _points((record.round - 1, record.validation_loss) for record in rounds)
    lines = [
        ChartLine(name, thinned(points))
        for name, points in (("Training", training), ("Validation", validation))
        if points
    ]
    if not lines:
        return []
    finding = " ".join(
        f"{name} loss: {points[0][1]:.4g} in round {points[0][0]:g}, {points[-1][1]:.4g} in round {points[-1][0]:g}."
        for name, points in (("Training", training), ("Validation", validation))
        if points
    )
    return [line_chart("Losses by round", finding, lines, _rounds(planned), ChartAxis("Loss"), marks=kept)]


def _concordance(
    rounds: Sequence[RoundFigures], kept: list[AxisMark], planned: float | None, federation: Agreement | None
) -> list[Chart]:
    lines, words = [], []
    for task in sorted({task for record in rounds for task in record.concordance}):
        label = task if federation is None else task_label(federation, task)
        points = _points((record.round - 1, record.concordance.get(task)) for record in rounds)
        if not points:
            continue
        lines.append(ChartLine(label, thinned(points)))
        best = max(points, key=lambda point: point[1])
        words.append(
            f"{label}: highest {best[1]:.3f}, of the weights of round {best[0]:g}; last {points[-1][1]:.3f}."
        )
    if not lines:
        return []
    chance = [AxisMark(0.5, "chance")]
    axis = ChartAxis("Concordance on validation patients")
    chart = line_chart(
        "Concordance by round", " ".join(words), lines, _rounds(planned), axis, marks=kept, levels=chance
    )
    return [chart]


def _seconds(rounds: Sequence[RoundFigures], planned: float | None) -> list[Chart]:
    points = _points((record.round, record.seconds) for record in rounds if record.kind == "train")
    if not points:
        return []
    middle = sorted(seconds for _, seconds in points)[len(points) // 2]
    finding = f"Half of the rounds took {middle:.1f} s or less, the last {points[-1][1]:.1f} s."
    axis = ChartAxis("Seconds", low=0.0)
    return [line_chart("Seconds by round", finding, [ChartLine("", thinned(points))], _rounds(planned), axis)]


def _rounds(planned: float | None) -> ChartAxis:
    return ChartAxis("Round", low=0.0, high=planned)


def _points(pairs: Iterable[tuple[float, float | None]]) -> list[Point]:
    return [(float(x), float(y)) for x, y in pairs if y is not None and math.isfinite(y)]
