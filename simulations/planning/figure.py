"""Figure of privacy plans: epsilon over rounds, and the noise that a plan needs."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from simulations.planning.plan import PrivacyPlan, Question, epsilon_after
from simulations.report.plots.style import BLUE, BROWN, CHARCOAL, GREY, INK, MAGENTA, OCHRE, TEAL, WIDE, style

COLOURS = (BLUE, TEAL, BROWN, OCHRE, MAGENTA, CHARCOAL, GREY)


DOTS_PER_INCH = 160


def write_figure(question: Question, plans: Sequence[PrivacyPlan], path: Path) -> None:
    """Write the figure in the format of the file's suffix.

    Raises:
        OSError: if the file cannot be written.
    """
    with style():
        figure = Figure(figsize=(WIDE, 3.6), layout="constrained")
        spent, noise = figure.subplots(1, 2, width_ratios=(3, 2))
        rounds = np.linspace(1, question.rounds, 200)
        for index, plan in enumerate(plans):
            colour = COLOURS[index % len(COLOURS)]
            spent.plot(rounds, [epsilon_after(plan, float(at)) for at in rounds], color=colour)
            spent.plot(
                *zip(*plan.curve, strict=True), "o", color=colour, markersize=4, markeredgecolor="white"
            )
            label = f"  noise {plan.privacy.noise_multiplier:g}"
            spent.annotate(label, plan.curve[-1], color=INK, va="center", fontsize=8.5, annotation_clip=False)
            noise.plot(plan.spent.epsilon, plan.noise, "o", color=colour, markersize=7)
            if question.hospitals > 1:
                noise.plot(plan.spent.epsilon, plan.averaged_noise, "D", color=colour, markersize=5.5)
        spent.set_title("Epsilon spent with each noise multiplier")
        spent.set_xlabel("Rounds so far")
        spent.set_ylabel(f"Epsilon at delta {question.delta:g}")
        spent.set_ylim(bottom=0)
        spent.xaxis.get_major_locator().set_params(integer=True)
        noise.set_title("Noise on the mean gradient")
        noise.set_xlabel("Epsilon of the whole run")
        noise.set_ylabel("Standard deviation of a coordinate")
        noise.set_xlim(left=0)
        noise.set_ylim(bottom=0)
        average = f"average of {question.hospitals:,} hospitals"
        key = [
            Line2D([], [], color=GREY, marker="o", markersize=7, linestyle="", label="one hospital"),
            Line2D([], [], color=GREY, marker="D", markersize=5.5, linestyle="", label=average),
        ]
        noise.legend(handles=key if question.hospitals > 1 else key[:1], loc="best")
        figure.savefig(path, metadata={"Date": None} if path.suffix == ".svg" else None, dpi=DOTS_PER_INCH)
