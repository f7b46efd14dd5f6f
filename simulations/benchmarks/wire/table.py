"""The tables of `consilium bench wire`: bytes and milliseconds, and accuracy beside float32."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import mean, stdev

from scipy.stats import t as student

from simulations.benchmarks.wire.accuracy import WIRES, Run, name_of
from simulations.benchmarks.wire.bench import PATIENTS, STEPS, Cost, Costs
from simulations.results.schema import MISSING


def table(costs: Costs) -> str:
    """Markdown: a table of bytes and times, one of accuracies if there are runs, and what they were measured on."""
    where = costs.machine
    footer = (
        f"An update of {STEPS} steps on {PATIENTS} patients. Times are medians of {costs.repeats}, in turns. "
    )
    footer += "`framing`: Flower's form, the header, numbers of patients and metrics. Requests stay float32. "
    footer += f"{where.processor}, {where.cores} cores, Python {where.python}, torch {where.torch}, "
    footer += f"{costs.date:%Y-%m-%d}."
    parts = [_rows(_bytes(costs.costs)), footer]
    if costs.runs:
        parts += [_rows(accuracy(costs.runs)), ACCURACY]
    return "\n\n".join(parts)


ACCURACY = (
    "The federated arm alone, on held-out patients, mean over pairs of fold and seed. `within`: mean within subgroups. "
    "The differences are to float32 with the same fold and seed, with 95% t-intervals over the pairs."
)


def _bytes(costs: Sequence[Cost]) -> Iterator[list[str]]:
    head = ["model", "parameters", "request", "update", "values", "manifest", "framing", "all", "fewer"]
    yield [*head, "pack, ms", "unpack, ms"]
    yield ["---"] + ["---:"] * 2 + ["---"] + ["---:"] * 7
    for _, group in groupby(costs, key=lambda cost: cost.model):
        every = list(group)
        for cost in every:
            yield [
                cost.model,
                f"{cost.parameters:,}",
                f"{cost.request_bytes:,}",
                name_of(cost.wire),
                f"{cost.value_bytes:,}",
                f"{cost.manifest_bytes:,}",
                f"{cost.framing_bytes:,}",
                f"{cost.message_bytes:,}",
                f"{every[0].message_bytes / cost.message_bytes:.1f}x",
                f"{cost.pack_ms:.2f}",
                f"{cost.unpack_ms:.2f}",
            ]


def accuracy(runs: Sequence[Run]) -> Iterator[list[str]]:
    """Rows by cohort, task and encoding, each over the pairs of fold and seed that float32 has too."""
    head = [
        "cohort",
        "task",
        "update",
        "pairs",
        "bytes a round and hospital",
        "fewer",
        "metric",
        "difference",
    ]
    yield [*head, "within", "difference"]
    yield ["---"] * 3 + ["---:"] * 7
    for cohort in dict.fromkeys(run.cohort for run in runs):
        mine = {(name_of(run.wire), run.pair): run for run in runs if run.cohort == cohort}
        for task in next(iter(mine.values())).metrics:
            yield from _task(cohort, task, mine)


def _task(cohort: str, task: str, runs: dict[tuple[str, tuple[int, int]], Run]) -> Iterator[list[str]]:
    plain = {pair: run for (name, pair), run in runs.items() if name == "float32"}
    for name in map(name_of, WIRES):
        pairs = sorted(pair for other, pair in runs if other == name and pair in plain)
        if not pairs:
            continue
        found, beside = [runs[name, pair] for pair in pairs], [plain[pair] for pair in pairs]
        size, plainly = (_size(each) for each in (found, beside))
        told = [cohort, task, name, str(len(pairs)), f"{size:,.0f}", f"{plainly / size:.1f}x"]
        for kind in ("metrics", "within"):
            ours, theirs = ([getattr(run, kind)[task] for run in each] for each in (found, beside))
            if any(figure is None for figure in (*ours, *theirs)):
                told += [MISSING, MISSING]
                continue
            differences = [mine - other for mine, other in zip(ours, theirs, strict=True)]
            told += [f"{mean(ours):.4f}", "" if name == "float32" else interval(differences)]
        yield told


def _size(runs: Sequence[Run]) -> float:
    """Bytes of an update, mean over hospitals, rounds and runs."""
    return sum(run.update_bytes for run in runs) / sum(run.replies for run in runs)


def interval(differences: Sequence[float]) -> str:
    """Mean and 95% t-interval of paired differences; without an interval if there is one alone."""
    centre, count = mean(differences), len(differences)
    if count == 1:
        return f"{centre:+.4f}"
    half = float(student.ppf(0.975, count - 1)) * stdev(differences) / math.sqrt(count)
    return f"{centre:+.4f} ({centre - half:+.4f} to {centre + half:+.4f})"


def _rows(lines: Iterator[list[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
