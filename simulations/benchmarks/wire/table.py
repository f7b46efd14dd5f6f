"""Tables of the benchmark `wire`: bytes and milliseconds, and accuracy beside float32."""

import math
from collections.abc import Iterator, Sequence
from itertools import groupby
from statistics import mean, stdev

from scipy.stats import t as student

from simulations.benchmarks.measuring.record import markdown
from simulations.benchmarks.wire.accuracy import WIRES, EncodingRun, name_of
from simulations.benchmarks.wire.bench import PATIENTS, STEPS, EncodingCost, WireFigures
from simulations.results.schema import MISSING


def wire_table(figures: WireFigures) -> str:
    """Write Markdown tables of bytes and times, and of accuracies if there are runs."""
    footer = f"An update of {STEPS} steps on {PATIENTS} patients. Times are medians of {figures.repeats}, in turns. "
    footer += "`framing`: Flower's form, the header, numbers of patients and metrics. Requests stay float32. "
    footer += f"{figures.origin}."
    parts = [markdown("lrrl" + "r" * 7, _bytes(figures.costs)), footer]
    if figures.runs:
        parts += [markdown("lll" + "r" * 7, accuracy(figures.runs)), ACCURACY]
    return "\n\n".join(parts)


ACCURACY = (
    "The federated arm alone, on held-out patients, mean over pairs of fold and seed. `within`: mean within subgroups. "
    "The differences are to float32 with the same fold and seed, with 95% t-intervals over the pairs."
)


def _bytes(costs: Sequence[EncodingCost]) -> Iterator[list[str]]:
    head = ["model", "parameters", "request", "update", "values", "manifest", "framing", "all", "fewer"]
    yield [*head, "pack, ms", "unpack, ms"]
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


def accuracy(runs: Sequence[EncodingRun]) -> Iterator[list[str]]:
    """Rows by cohort, task and encoding, over the pairs of fold and seed that float32 has too."""
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
    for cohort in dict.fromkeys(run.cohort for run in runs):
        by_encoding = {(name_of(run.wire), run.pair): run for run in runs if run.cohort == cohort}
        for task in next(iter(by_encoding.values())).metrics:
            yield from _task(cohort, task, by_encoding)


def _task(
    cohort: str, task: str, runs: dict[tuple[str, tuple[int, int]], EncodingRun]
) -> Iterator[list[str]]:
    plain = {pair: run for (name, pair), run in runs.items() if name == "float32"}
    for name in map(name_of, WIRES):
        pairs = sorted(pair for encoding, pair in runs if encoding == name and pair in plain)
        if not pairs:
            continue
        encoded_runs, plain_runs = [runs[name, pair] for pair in pairs], [plain[pair] for pair in pairs]
        encoded_size, plain_size = _size(encoded_runs), _size(plain_runs)
        row = [cohort, task, name, str(len(pairs))]
        row += [f"{encoded_size:,.0f}", f"{plain_size / encoded_size:.1f}x"]
        for kind in ("metrics", "within"):
            encoded = [getattr(run, kind)[task] for run in encoded_runs]
            exact = [getattr(run, kind)[task] for run in plain_runs]
            if any(figure is None for figure in (*encoded, *exact)):
                row += [MISSING, MISSING]
                continue
            differences = [figure - reference for figure, reference in zip(encoded, exact, strict=True)]
            row += [f"{mean(encoded):.4f}", "" if name == "float32" else paired_interval(differences)]
        yield row


def _size(runs: Sequence[EncodingRun]) -> float:
    """Bytes of an update, mean over hospitals, rounds and runs."""
    return sum(run.update_bytes for run in runs) / sum(run.replies for run in runs)


def paired_interval(differences: Sequence[float]) -> str:
    """Mean and 95% t-interval of paired differences; no interval for a single difference."""
    centre, count = mean(differences), len(differences)
    if count == 1:
        return f"{centre:+.4f}"
    half = float(student.ppf(0.975, count - 1)) * stdev(differences) / math.sqrt(count)
    return f"{centre:+.4f} ({centre - half:+.4f} to {centre + half:+.4f})"
