"""Differences are paired, and their interval is Student's."""

from datetime import UTC, datetime

import pytest
from scipy.stats import ttest_1samp

from simulations.benchmarks.wire.accuracy import WIRES, EncodingRun
from simulations.benchmarks.wire.bench import EncodingCost, WireFigures
from simulations.benchmarks.wire.table import accuracy, paired_interval, wire_table
from simulations.results.machine import Machine

MACHINE = Machine(platform="p", processor="a processor", cores=2, python="3.11", torch="2")


def run(place: int, metric: float, within: float | None, seed: int = 0) -> EncodingRun:
    return EncodingRun(
        cohort="c",
        wire=WIRES[place],
        fold=1,
        seed=seed,
        rounds=3,
        replies=6,
        update_bytes=6 * (4000 if place == 0 else 1000),
        message_bytes=1,
        metrics={"os": metric},
        within={"os": within},
        machine=MACHINE,
    )


def test_the_interval_is_that_of_a_paired_t_test() -> None:
    differences = [0.01, -0.02, 0.005, 0.031]
    low, high = ttest_1samp(differences, 0).confidence_interval(0.95)
    assert paired_interval(differences) == f"+0.0065 ({low:+.4f} to {high:+.4f})"
    assert paired_interval([-0.5]) == "-0.5000"


def test_only_pairs_that_float32_has_too_are_compared() -> None:
    runs = [
        run(0, 0.75, 0.5),
        run(2, 0.75, 0.4),
        run(0, 0.5, 0.5, 1),
        run(2, 0.75, 0.4, 1),
        run(2, 0.1, 0.1, 2),
    ]
    _, plain, small = accuracy(runs)
    assert plain == ["c", "os", "float32", "2", "4,000", "1.0x", "0.6250", "", "0.5000", ""]
    assert small[:7] == ["c", "os", "int8", "2", "1,000", "4.0x", "0.7500"]
    assert small[7] == paired_interval([0.0, 0.25])
    assert small[8:] == ["0.4000", paired_interval([-0.1, -0.1])]


def test_what_is_undefined_has_no_figure() -> None:
    _, plain = accuracy([run(0, 0.75, None)])
    assert plain[6:] == ["0.7500", "", "—", "—"]


@pytest.mark.parametrize("runs", [(), (run(0, 0.75, 0.5),)])
def test_the_table_says_on_what_it_was_measured(runs: tuple[EncodingRun, ...]) -> None:
    cost = EncodingCost(
        model="m",
        parameters=1000,
        wire=WIRES[0],
        request_bytes=5000,
        value_bytes=4000,
        manifest_bytes=100,
        message_bytes=4500,
        pack_ms=1.234,
        unpack_ms=0.5,
    )
    date = datetime(2026, 1, 2, tzinfo=UTC)
    printed = wire_table(WireFigures(machine=MACHINE, date=date, repeats=7, costs=(cost,), runs=runs))
    assert "| m | 1,000 | 5,000 | float32 | 4,000 | 100 | 400 | 4,500 | 1.0x | 1.23 | 0.50 |" in printed
    assert "medians of 7" in printed
    assert "a processor, 2 cores, Python 3.11, torch 2, 2026-01-02." in printed
    assert ("| c | os | float32 |" in printed) is bool(runs)
