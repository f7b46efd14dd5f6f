"""Sentences and a table about the differential privacy of a result."""

import math
from collections.abc import Iterator

from simulations.report.words.statement import Statement
from simulations.report.words.tables import TextTable
from simulations.report.words.text import count_text, paired_text
from simulations.results.metrics import metric_name
from simulations.results.schema import MISSING, Judgement, PrivateRun, SimulationResult, interval_text

_STATISTICS = {
    "declared": "declared in the federation file; nothing leaves",
    "noised": "sums with noise, part of epsilon",
    "public": "exact sums, outside the guarantee",
}


_LEARNS = {"all": "all", "linear": "linear scores"}


def spent_text(run: PrivateRun) -> str:
    """Cost and mechanism of a run, in a line."""
    terms = "the privacy of its federation file" if run.epsilon is None else f"epsilon {run.epsilon:g}"
    return (
        f"Federated under {terms}: epsilon {_epsilon(run.spent)} spent at delta {run.delta:g} by the hospitals' "
        f"ledgers, with noise {run.noise_multiplier:.3f}, clip norm {run.clip_norm:g}, sampling rate "
        f"{run.sampling_rate:g} and {count_text(run.steps, 'step')} in each of {count_text(run.rounds, 'round')}."
    )


def _epsilon(epsilon: float | None) -> str:
    return MISSING if epsilon is None else f"{epsilon:.2f}"


def price(result: SimulationResult, task: str) -> list[Statement]:
    """Headline score of each private run, and its distance from the run without privacy.

    A statement's code is the verdict on the run without privacy, or `no-score`.
    """
    metric = metric_name(result.outcomes[task].metric)
    return [_price(result, task, run, metric) for run in result.privacy]


def _price(result: SimulationResult, task: str, run: PrivateRun, metric: str) -> Statement:
    summary = result.private_headline(task, run)
    terms = f"epsilon {_epsilon(run.spent)}" if run.epsilon is None else f"epsilon {run.epsilon:g}"
    if summary is None or summary.mean is None:
        return Statement("no-score", f"At {terms} there is no score on held-out patients.")
    said = f"At {terms}, {metric} {interval_text(summary.mean, summary.interval)}"
    paired = run.paired.get(task)
    if paired is None or paired.verdict is Judgement.UNKNOWN:
        return Statement(Judgement.UNKNOWN, f"{said}.")
    shown = paired.reversed if paired.verdict is Judgement.WORSE else paired
    return Statement(paired.verdict, f"{said}; {_JUDGEMENTS[paired.verdict]} {paired_text(shown)}.")


_JUDGEMENTS = {
    Judgement.BETTER: "privacy costs",
    Judgement.WORSE: "no price: better than without privacy, by",
    Judgement.UNDECIDED: "no difference to training without privacy shown,",
}


def promise(result: SimulationResult) -> list[Statement]:
    """Meaning of the guarantee, for the person who answers for the data.

    There is none without private runs.
    """
    return list(_promise(result)) if result.privacy else []


def _promise(result: SimulationResult) -> Iterator[Statement]:
    epsilons = [epsilon for run in result.privacy if (epsilon := run.epsilon or run.spent) is not None]
    factors = "; ".join(f"epsilon {epsilon:.3g}: {_factor(epsilon)}" for epsilon in epsilons)
    deltas = sorted({run.delta for run in result.privacy})
    yield Statement(
        "factors",
        "Take any one patient of any hospital, and somebody who sees all that left the hospital in a run: every weight "
        "of every round. Any conclusion about the patient that this leads to is at most e to the power of epsilon "
        "times as likely, plus delta, as it would have been had the patient never been in the data. "
        f"As a factor: {factors}. Delta: {', '.join(f'{delta:g}' for delta in deltas)}.",
    )
    yield Statement(
        "attacker",
        "This bound holds against an attacker who knows everything else. A factor of a few is a strong promise; one "
        "in the thousands promises little by itself, and what an attack would learn then has to be measured.",
    )
    yield Statement(
        "unit",
        "It is about one patient's row at one hospital: for a patient of two hospitals the epsilons add up. That a "
        "hospital takes part, and which tables it has, is not hidden.",
    )
    if any(run.statistics == "public" for run in result.privacy):
        text = (
            "Exact sums for scaling were disclosed as public statistics; the guarantee does not cover them."
        )
        yield Statement("public-statistics", text)
    yield Statement(
        "rest-of-the-page",
        "It is a property of the private runs and of nothing else on this page: the other arms were trained without "
        "noise, and scores were computed from held-out patients exactly.",
    )
    yield Statement(
        "randomness",
        "Noise and samples are drawn from the operating system and cannot be repeated: another run with the same seed "
        "gives somewhat other private figures.",
    )
    if len(result.folds) > 1:
        yield Statement(
            "folds",
            "Every fold was a run of its own, with ledgers of its own. At a hospital all runs on a cohort add up in "
            "one ledger.",
        )


def _factor(epsilon: float) -> str:
    factor = math.exp(min(epsilon, 100.0))
    return f"{factor:.1f}" if factor < 100 else f"{factor:,.0f}" if factor < 1e6 else "over a million"


def terms_table(result: SimulationResult) -> TextTable | None:
    """Table of the mechanism and the spent epsilon of private runs; None without private runs."""
    if not result.privacy:
        return None
    rows = tuple(
        (
            "of the file" if run.epsilon is None else f"{run.epsilon:g}",
            _epsilon(run.spent),
            f"{run.delta:g}",
            f"{run.noise_multiplier:.3f}",
            f"{run.clip_norm:g}",
            f"{run.sampling_rate:g}",
            f"{run.steps:,} \N{MULTIPLICATION SIGN} {run.rounds:,}",
            _LEARNS[run.learn],
            _STATISTICS[run.statistics],
        )
        for run in result.privacy
    )
    heads = (
        *("Target epsilon", "Spent, by ledger", "Delta", "Noise", "Clip norm", "Sampling rate"),
        *("Steps \N{MULTIPLICATION SIGN} rounds", "Learns", "Scaling and intervals"),
    )
    caption = (
        "How private runs were made. Every step takes each patient with the probability in the column sampling rate, "
        "clips the patient's gradient to the clip norm and adds normal noise of standard deviation noise "
        "\N{MULTIPLICATION SIGN} clip norm to the sum. Spent is the epsilon of everything in the ledger of the "
        "hospital that spent most."
    )
    return TextTable(heads, rows, caption)
