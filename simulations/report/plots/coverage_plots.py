"""Figure of accuracy against the share of the patients who are predicted."""

from matplotlib.figure import Figure

from simulations.report.plots.style import BLUE, BROWN, SMALL, WIDTH, Plot, style
from simulations.results.spoiling import WarningFigures


def coverage_plot(figures: WarningFigures) -> Plot | None:
    """Draw the Brier score over ever fewer patients; None without scores.

    The patients with the most unusual tables are left out first.
    """
    plain = [(point.share, point.brier) for point in figures.coverage if point.brier is not None]
    spoilt = {} if figures.spoilt is None else figures.spoilt.coverage
    some = [(share, brier) for share, brier in spoilt.items() if brier is not None]
    if not plain:
        return None
    with style():
        figure = Figure(figsize=(WIDTH, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            [100 * share for share, _ in plain],
            [brier for _, brier in plain],
            marker="o",
            color=BLUE,
            label="tables as they are",
        )
        if some:
            axes.plot(
                [100 * share for share, _ in some],
                [brier for _, brier in some],
                marker="s",
                linestyle="--",
                color=BROWN,
                label="some tables spoilt",
            )
        axes.invert_xaxis()
        axes.set_xlabel("% of patients predicted, usual tables first")
        axes.set_ylabel("Brier score")
        figure.legend(loc="outside lower center", ncols=2, fontsize=SMALL)
        described = ", ".join(f"{brier:.3f} of {share:.0%}" for share, brier in plain)
        return Plot(figure, "Risk and coverage", f"Brier score of the patients predicted: {described}.")
