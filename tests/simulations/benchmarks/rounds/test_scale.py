"""Cost of federations of several sizes, measured on real runs, and printed."""

from pathlib import Path

import pytest

from common.errors import OptionError
from simulations.benchmarks.rounds.scale import ScaleFigures, Size, SizeCost, run_scale, scale_table, sizes
from simulations.results.machine import Machine

pytestmark = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").is_file(), reason="needs Linux's /proc")
MACHINE = Machine(platform="p", processor="a processor", cores=2, python="3.11", torch="2.13")


def test_one_thing_is_changed_at_a_time() -> None:
    assert [(each.sites, each.patients, each.genes) for each in sizes((10, 40), (50, 100), (60,))] == [
        (10, 50, 60),
        (40, 50, 60),
        (10, 100, 60),
    ]


def test_time_per_patient_is_told_beside_that_of_the_first_row() -> None:
    def cost(sites: int, seconds: float) -> SizeCost:
        return SizeCost(
            size=Size(sites=sites, patients=50, genes=60),
            parameters=1234,
            starting_s=1,
            round_s=seconds,
            processor_s=seconds,
            peak_mib=700,
            growth_mib=3,
        )

    costs = (cost(10, 1.0), cost(1000, 110.0))
    printed = scale_table(
        ScaleFigures(machine=MACHINE, engine="serial", workers=1, rounds=3, repeats=1, costs=costs)
    ).splitlines()
    assert printed[2] == "| 10 | 50 | 60 | 1,234 | 1.0 | 1.00 | 1.00 | 2.00 | 1.00x | 700 | +3 |"
    assert printed[3] == "| 1,000 | 50 | 60 | 1,234 | 1.0 | 110.00 | 110.00 | 2.20 | 1.10x | 700 | +3 |"


def test_an_engine_that_is_not_measured_is_refused() -> None:
    with pytest.raises(OptionError) as refused:
        run_scale(sizes((2,), (12,), (12,)), "ray", 2, 1, None)
    assert refused.value.where == "--engine ray"


@pytest.mark.slow
def test_real_runs_are_measured_and_written(tmp_path: Path) -> None:
    wanted = sizes((2, 6), (40,), (16,))
    measured = run_scale(wanted, "serial", 3, 1, tmp_path / "out.json")
    assert ScaleFigures.model_validate_json((tmp_path / "out.json").read_text()) == measured
    few, many = measured.costs
    assert many.processor_s > 1.5 * few.processor_s
    assert few.parameters == many.parameters > 1000
    assert few.peak_mib > 100
