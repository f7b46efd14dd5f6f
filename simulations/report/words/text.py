"""Sentences of a result: findings, limits, and formatted figures."""

from collections.abc import Iterator

from simulations.report.words.statement import Statement
from simulations.results.metrics import lower_is_better, metric_name
from simulations.results.schema import (
    ARM_NAMES,
    MISSING,
    Arm,
    Difference,
    Judgement,
    MetricSummary,
    SimulationResult,
    interval_text,
)

MINUS = "\N{MINUS SIGN}"


_WITHOUT_POOLING: frozenset[Arm] = frozenset({"federated", "federated_linear", "local", "local_linear"})
"""Arms for which no row leaves a hospital."""


def spread_text(summary: MetricSummary | None) -> str:
    """Format mean and standard deviation over folds, as in `0.671 ± 0.021`."""
    if summary is None or summary.mean is None:
        return MISSING
    return f"{summary.mean:.3f}" if summary.sd is None else f"{summary.mean:.3f} ± {summary.sd:.3f}"


def range_text(summary: MetricSummary | None) -> str:
    """Format a 95% interval, as in `0.640 to 0.702`."""
    low, high = summary.interval if summary else (None, None)
    return MISSING if low is None or high is None else f"{low:.3f} to {high:.3f}"


def difference_text(result: SimulationResult, task: str, arm: Arm) -> str:
    """Federated minus an arm with its interval, as in `+0.097 (+0.070 to +0.121)`.

    The federated arm itself has an empty text.
    """
    if arm == "federated":
        return ""
    return paired_text(result.paired.get(task, {}).get(arm))


def paired_text(paired: Difference | None) -> str:
    """Format a difference and its interval; a dash if there is none."""
    if paired is None or paired.difference is None:
        return MISSING
    text = signed_text(paired.difference)
    if paired.low is not None and paired.high is not None:
        text += f" ({signed_text(paired.low)} to {signed_text(paired.high)})"
    return text


def signed_text(difference: float) -> str:
    """Format a difference with its sign, as in `+0.097`; 0 has a plus."""
    return f"{difference:+.3f}".replace("-0.000", "+0.000").replace("-", MINUS)


def findings(result: SimulationResult, task: str) -> list[Statement]:
    """List findings on the federated model, hospitals alone, pooled data and best baseline."""
    federated = result.headline(task, "federated")
    if federated is None or federated.mean is None:
        text = "The federated model has no score on held-out patients, so nothing can be said about it."
        return [Statement("no-score", text)]
    return list(_findings(result, task, federated.mean, federated))


def _findings(
    result: SimulationResult, task: str, mean: float, federated: MetricSummary
) -> Iterator[Statement]:
    metric = metric_name(result.outcomes[task].metric)
    text = interval_text(mean, federated.interval).replace("(", "(95% interval ")
    whom = result.outcomes[task].size or "held-out patients"
    yield Statement("federated", f"{metric} of the federated model on {whom}: {text}.")
    yield from beside_null(result, task)
    linear = result.headline(task, "federated_linear")
    if linear and linear.mean is not None:
        figure = interval_text(linear.mean, linear.interval)
        text = f"The linear model that the hospitals fit together first: {figure}"
        yield Statement("federated-linear", f"{text}{_judged(result, task, 'federated_linear')}.")
    local = result.headline(task, "local")
    if local and local.mean is not None:
        pairs = [
            (site.federated, site.local)
            for site in result.sites.get(task, {}).values()
            if site.federated is not None and site.local is not None
        ]
        sentence = f"A hospital alone reached {interval_text(local.mean, local.interval)} on average"
        if pairs:
            ahead = sum(federated > alone for federated, alone in pairs)
            sentence += (
                f", and the federated model was ahead of {ahead} of {len(pairs)} hospitals' own models"
            )
        yield Statement("local", f"{sentence}{_judged(result, task, 'local')}.")
    yield from _on_own_patients(result, task)
    pooled = result.headline(task, "pooled")
    if pooled and pooled.mean is not None:
        figure = interval_text(pooled.mean, pooled.interval)
        text = f"The same network on pooled data: {figure}{_judged(result, task, 'pooled')}."
        yield Statement("pooled", text)
    baselines = {
        arm: (summary.mean, summary.interval)
        for arm in result.arms(task)
        if arm not in (*_WITHOUT_POOLING, "pooled", "null")
        and (summary := result.headline(task, arm))
        and summary.mean is not None
    }
    if baselines:
        best = max(baselines, key=lambda arm: baselines[arm][0])
        name = ARM_NAMES[best].removesuffix(", pooled")
        text = f"Best baseline on pooled data: {name}, {interval_text(*baselines[best])}"
        text += f"{_judged(result, task, best)}."
        yield Statement("baseline", text)


def _on_own_patients(result: SimulationResult, task: str) -> Iterator[Statement]:
    """Count the hospitals for whose own patients either model is shown to be the better one."""
    sites = result.sites.get(task, {})
    verdicts = [site.own_patients.gain.verdict for site in sites.values() if site.own_patients is not None]
    if not verdicts:
        return
    better, worse = (verdicts.count(verdict) for verdict in (Judgement.BETTER, Judgement.WORSE))
    text = "On a hospital's own held-out patients the federated model was shown to be better than the hospital's own "
    text += f"model at {better} of {count_text(len(verdicts), 'hospital')} with enough patients, and worse at {worse}; "
    yield Statement("own-patients", text + f"no difference was shown at {len(verdicts) - better - worse}.")


def beside_null(result: SimulationResult, task: str) -> Iterator[Statement]:
    """State figures of which less is better beside those of the null model."""
    federated, null = (result.tasks[task].get(arm, {}) for arm in _WITH_AND_WITHOUT_INPUTS)
    for metric in filter(lower_is_better, federated):
        model, nothing = federated[metric].mean, null[metric].mean if metric in null else None
        if model is not None and nothing is not None:
            text = f"{metric_name(metric)} of the federated model: {model:.3f}, and {nothing:.3f} for the null model, "
            text += "which predicts the same for all patients; lower is better."
            if model >= nothing:
                text += " Its probabilities are no closer to the outcomes than those of the null model."
            yield Statement("null", text)


_WITH_AND_WITHOUT_INPUTS: tuple[Arm, Arm] = ("federated", "null")


def _judged(result: SimulationResult, task: str, arm: Arm) -> str:
    """Judgement that the interval of the paired difference allows."""
    paired = result.paired.get(task, {}).get(arm)
    if paired is None or paired.verdict is Judgement.UNKNOWN:
        return ""
    return f"; {_JUDGEMENTS[paired.verdict]}, {paired_text(paired)}"


_JUDGEMENTS = {
    Judgement.BETTER: "federated is better",
    Judgement.WORSE: "federated is worse",
    Judgement.UNDECIDED: "no difference shown",
}


def caveats(result: SimulationResult) -> list[Statement]:
    """List the limits of a result, in plain language."""
    return list(_caveats(result))


def _caveats(result: SimulationResult) -> Iterator[Statement]:
    yield Statement(
        "simulated",
        "All hospitals were simulated on one machine. The training is that of a real federation, but its "
        "network, its people and its hospitals' own policies were not part of it.",
    )
    yield Statement(
        "intervals",
        "Intervals resample held-out patients, not hospitals or training seeds: they do not cover the choice of "
        "hospitals and training patients; repeat the run with other seeds before claiming a small difference.",
    )
    if len(result.folds) == 1:
        yield Statement("one-fold", "Only one fold was run, so there is no deviation between folds.")
    for number, fold in enumerate(result.folds, 1):
        if fold.status == "partial":
            text = f"In fold {number} some round lacked a quorum of hospitals and does not count."
            yield Statement("no-quorum", text)
    if {arm for task in result.tasks for arm in result.arms(task)} - _WITHOUT_POOLING - {"null"}:
        yield Statement(
            "pooled",
            "Pooled arms need every patient's row in one place, which is what federated learning avoids; "
            "they are a yardstick, not an alternative.",
        )
    undefined = [
        f"{ARM_NAMES[arm]} ({task.replace('_', ' ')})"
        for task in result.tasks
        for arm in result.arms(task)
        if (summary := result.headline(task, arm)) is None or summary.mean is None
    ]
    if undefined:
        yield Statement("undefined", f"No score could be computed for: {', '.join(undefined)}.")
    yield Statement(
        "no-medical-device",
        "Good ranking of past patients is not evidence that a decision based on it would help a patient. "
        "This is research software and not a medical device.",
    )


def withheld_sentences(result: SimulationResult) -> list[str]:
    """Sentences that name hospitals too small to contribute to a preprocessing statistic."""
    return [
        f"{site} was left out of "
        + ", ".join(f"{statistic.replace('_', ' ')} ({count:,})" for statistic, count in counts.items())
        for site, counts in result.withheld.items()
        if counts
    ]


def count_text(number: int, thing: str) -> str:
    """Format a number of things, as in `1 fold` and `21 hospitals`."""
    return f"{number:,} {thing}" if number == 1 else f"{number:,} {thing}s"
