"""Terminal text of privacy plans: a table, curves, and the lines for the federation file."""

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import tomli_w
from rich.console import Console

from common.counting import counted
from common.errors import OptionError
from common.folding_table import FoldingTable
from simulations.planning.plan import PrivacyPlan, Question, epsilon_after, privacy_plans, suggested_delta

BARS = "▁▂▃▄▅▆▇█"


WIDTH = 40


FORMATS = (".svg", ".png")


def print_plans(question: Question, as_json: bool, out: Path | None) -> None:
    """Print the plans, and write the figure if a file is named.

    Raises:
        InputError: for facts that do not go together, or a figure of another format.
    """
    if out is not None and out.suffix not in FORMATS:
        raise OptionError(str(out), "is not a figure format", f"end its name in {' or '.join(FORMATS)}")
    plans = privacy_plans(question)
    if out is not None:
        from simulations.planning.figure import write_figure

        write_figure(question, plans, out)
    if as_json:
        print(json.dumps(_as_json(question, plans), indent=2))
        return
    console = Console(highlight=False, markup=False)
    _print(question, plans, console)
    if out is not None:
        console.print(f"The figure is in {out}.", soft_wrap=True)


def _print(question: Question, plans: Sequence[PrivacyPlan], console: Console) -> None:
    per_round = counted(question.steps, "step")
    console.print(
        f"{counted(question.patients, 'patient')} in a hospital, {counted(question.rounds, 'round')} of {per_round}: "
        f"{counted(question.rounds * question.steps, 'step')} in all, of {question.batch:g} patients each on "
        f"average (sampling rate {question.sampling_rate:g}). Delta {question.delta:g}."
    )
    if question.is_weak:
        console.print(weakness(question))
    console.print(_table(question, plans))
    console.print(
        "Epsilon of the whole run by moments (RDP) and by loss distributions (PRV): both are upper bounds, the "
        "smaller one holds. Noise: its standard deviation on every coordinate of a step's mean gradient, to which "
        f"one patient adds at most a length of {plans[0].privacy.clip_norm / question.batch:.3g}."
    )
    if not console.options.ascii_only:
        console.print(f"\n{_curves(plans)}")
    console.print(f"\nFor federation.toml:\n\n{toml_lines(plans)}", soft_wrap=True)
    console.print(
        "Privacy also needs dropout, node_dropout and modality_dropout = 0 under [model], and "
        "learn_task_weights = false under [training]."
    )


def _table(question: Question, plans: Sequence[PrivacyPlan]) -> FoldingTable:
    table = FoldingTable()
    heads = ("Target\nepsilon", "Noise\nmultiplier", "Epsilon,\nRDP", "Epsilon,\nPRV")
    average = f"Noise, mean of\n{counted(question.hospitals, 'hospital')}"
    for head in (*heads, "Noise,\na hospital", average):
        table.add_column(head, justify="right")
    for plan in plans:
        table.add_row(
            f"{plan.target:g}",
            f"{plan.privacy.noise_multiplier:g}",
            _figure(plan.spent.rdp),
            _figure(plan.spent.prv),
            f"{plan.noise:.3g}",
            f"{plan.averaged_noise:.3g}",
        )
    return table


def weakness(question: Question) -> str:
    """Warn of a delta that is too large."""
    return (
        f"This guarantee is weak: a delta of {question.delta:g} with {counted(question.patients, 'patient')} allows "
        "for a mechanism that reveals one of them entirely; "
        f"take one well below 1 / patients, such as --delta {suggested_delta(question.patients):g}."
    )


def _curves(plans: Sequence[PrivacyPlan]) -> str:
    """Draw a line of bars per plan: the share of its epsilon spent so far, over all rounds."""
    rounds = plans[0].curve[-1][0]
    width = min(WIDTH, rounds)
    lines = [
        f"Share of the epsilon spent after each of {counted(rounds, 'round')}:"
        if rounds == width
        else f"Share of the epsilon spent, from the first to the last of {counted(rounds, 'round')}:"
    ]
    for plan in plans:
        spent = [epsilon_after(plan, rounds * (step + 1) / width) for step in range(width)]
        bars = "".join(BARS[min(len(BARS) - 1, int(len(BARS) * epsilon / spent[-1]))] for epsilon in spent)
        half = epsilon_after(plan, (rounds + 1) // 2)
        lines.append(f"{plan.target:>6g}  {bars}  {half:.2f} after {(rounds + 1) // 2:,}")
    return "\n".join(lines)


def toml_lines(plans: Sequence[PrivacyPlan]) -> str:
    """Write `[privacy]` of the first plan, with the noise of the others as a comment."""
    first = plans[0]
    settings = first.privacy.model_dump(mode="json", exclude_none=True)
    if settings["statistics"] != "noised":
        del settings["statistics_noise_multiplier"]
    lines = tomli_w.dumps({"privacy": settings}).splitlines()
    others = "".join(f"; {plan.privacy.noise_multiplier:g} for {plan.target:g}" for plan in plans[1:])
    noise = next(index for index, line in enumerate(lines) if line.startswith("noise_multiplier"))
    lines[noise] += f"  # epsilon {first.target:g}{others}"
    return "\n".join(lines) + "\n"


def _as_json(question: Question, plans: Sequence[PrivacyPlan]) -> dict[str, Any]:
    return {
        "patients": question.patients,
        "hospitals": question.hospitals,
        "rounds": question.rounds,
        "steps": question.rounds * question.steps,
        "expected_batch_size": question.batch,
        "delta": question.delta,
        "delta_is_weak": question.is_weak,
        "plans": [
            {
                "target_epsilon": plan.target,
                "epsilon_rdp": plan.spent.rdp,
                "epsilon_prv": plan.spent.prv if math.isfinite(plan.spent.prv) else None,
                "noise_in_a_hospital": plan.noise,
                "noise_averaged": plan.averaged_noise,
                "epsilon_by_round": [list(point) for point in plan.curve],
                "privacy": plan.privacy.model_dump(mode="json"),
            }
            for plan in plans
        ],
    }


def _figure(epsilon: float) -> str:
    return f"{epsilon:.3f}" if math.isfinite(epsilon) else "—"
