"""Overhead of engines per message, measured on real runs, and printed."""

from pathlib import Path

import pytest

from common.errors import OptionError
from simulations.benchmarks.rounds.bench import Overhead, RoundsFigures, _overhead, rounds_table, run_rounds
from simulations.benchmarks.rounds.federated_run import MeasuredRound, MeasuredRun
from simulations.results.machine import Machine

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="needs Linux's /proc")
MACHINE = Machine(platform="p", processor="a processor", cores=2, python="3.11", torch="2.13")


def run(*rounds: MeasuredRound, peak: float = 100.0) -> MeasuredRun:
    return MeasuredRun(2.0, rounds, peak, 0.0)


def test_what_the_apps_take_is_not_the_engines() -> None:
    warm = MeasuredRound(seconds=9, processor_s=9, app_s=9, app_processor_s=9, server_s=9)
    one = MeasuredRound(seconds=2.0, processor_s=1.9, app_s=1.5, app_processor_s=1.4, server_s=0.1)
    printed = _overhead("serial", 4, [run(warm, one), run(warm, one, peak=120)])
    assert (printed.workers, printed.round_s, printed.peak_mib) == (1, 2.0, 110)
    assert printed.message_s == pytest.approx((2.0 - 0.1 - 1.5) / 4)
    assert printed.message_processor_s == pytest.approx((1.9 - 0.1 - 1.4) / 4)


def test_ratios_are_rays_figure_over_ours() -> None:
    def row(engine: str, message_s: float, peak: float) -> Overhead:
        return Overhead(
            engine=engine,
            sites=10,
            workers=1,
            starting_s=1,
            round_s=1,
            message_s=message_s,
            message_processor_s=message_s / 2,
            peak_mib=peak,
        )

    rows = (row("serial", 0.001, 250), row("ray", 0.02, 1000))
    printed = rounds_table(RoundsFigures(machine=MACHINE, rounds=3, repeats=1, rows=rows)).splitlines()
    assert printed[2] == "| serial | 10 | 1.0 | 1.00 | 1.00 | 20.0x | 0.50 | 20.0x | 250 | 4.0x |"
    assert "a processor, 2 cores" in printed[-1]
    alone = rounds_table(RoundsFigures(machine=MACHINE, rounds=3, repeats=1, rows=rows[:1])).splitlines()
    assert alone[2] == "| serial | 10 | 1.0 | 1.00 | 1.00 | — | 0.50 | — | 250 | — |"
    nothing = (row("serial", -0.0007, 250), row("ray", 0.02, 1000))
    printed = rounds_table(RoundsFigures(machine=MACHINE, rounds=3, repeats=1, rows=nothing)).splitlines()
    assert "| under 0.1 | over 200x | under 0.1 | over 100x |" in printed[2]


def test_an_unknown_engine_is_refused() -> None:
    with pytest.raises(OptionError) as refused:
        run_rounds(["spark"], [2], 2, 1, None)
    assert refused.value.where == "--engine spark"
    assert all(engine in refused.value.remedy for engine in ("serial", "processes", "ray"))


@pytest.mark.slow
def test_real_runs_are_measured_and_written(tmp_path: Path) -> None:
    heard: list[str] = []
    measured = run_rounds(["serial", "processes"], [3], 3, 1, tmp_path / "new" / "out.json", heard.append)
    assert heard == ["3 sites, serial, 1 of 1", "3 sites, processes, 1 of 1"]
    assert RoundsFigures.model_validate_json((tmp_path / "new" / "out.json").read_text()) == measured
    serial, processes = measured.rows
    for row in measured.rows:
        assert 0 < row.message_s * row.sites < row.round_s * row.workers
        assert row.starting_s > 0
    assert 100 < serial.peak_mib < processes.peak_mib
