from pathlib import Path

import numpy as np
import pytest

from common.comparison.form import Subject, ValueForm
from common.comparison.quantity import Array, Quantity
from simulations.benchmarks.units.bench import measure, run_units, units_table
from simulations.benchmarks.units.measured import MeasuredQuantity, measured, sums_of_values


def made_up(deviation: float, hospitals: int = 6) -> MeasuredQuantity:
    """A column of hospitals whose means differ by this standard deviation of their logarithms."""
    rng = np.random.default_rng(0)
    shifts = rng.normal(3, deviation, hospitals)
    values: dict[str, tuple[Array, ...]] = {
        f"h{site}": (rng.lognormal(shift, 0.3, 30),) for site, shift in enumerate(shifts)
    }
    sums = {site: {"size": sums_of_values(parts[0])} for site, parts in values.items()}
    quantity = Quantity("clinical", "size", "mm", ("size",), (0,), ValueForm.RATIO)
    return MeasuredQuantity("made-up", quantity, values, sums, 0, 200, np.asarray)


def test_planted_centimetres_are_found_and_hospitals_alike_have_no_alarm() -> None:
    figures = measure("made-up", [made_up(0.1)], np.random.default_rng(1))
    assert (figures.tests, figures.alarms, figures.columns, figures.alarms_in_threes) == (6, 0, 1, 0)
    by_factor = {one.factor: one for one in figures.planted}
    for factor in (10.0, 12.0, 365.25):
        one = by_factor[factor]
        assert one.planted == 40
        assert one.detected == one.named == one.planted
        assert one.wrong == 0
        assert one.planted / 2 <= one.refused < one.planted


def test_hospitals_that_lie_apart_by_nature_hide_a_factor_of_two() -> None:
    figures = measure("made-up", [made_up(1.0)], np.random.default_rng(1))
    by_factor = {one.factor: one for one in figures.planted}
    assert by_factor[2.2046].named < by_factor[1000.0].named


def test_a_cohort_is_read_by_column_and_follow_up(tmp_path: Path) -> None:
    quantities = measured("lung", None, tmp_path)
    names = [(part.quantity.column, part.quantity.what) for part in quantities]
    assert ("age", "") in names
    assert names[-2:] == [("time", "times of events"), ("time", "follow-up")]
    follow_up = quantities[-1]
    assert follow_up.quantity.subject is Subject.TIME
    for site, named in follow_up.sums.items():
        planted = follow_up.planted(site, 1.0)
        assert planted.keys() == named.keys()
        assert all(planted[part] == pytest.approx(named[part], rel=1e-6) for part in named)
    assert follow_up.is_refused("institution 01", 365.25)
    assert not follow_up.is_refused("institution 01", 1 / 365.25)


def test_the_table_names_every_cohort_and_factor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulations.benchmarks.units.bench.TRIPLES", 1)
    out, heard = tmp_path / "units.json", list[str]()
    table = units_table(run_units(["lung"], None, 0, out, heard.append))
    assert heard == ["lung"]
    assert out.is_file()
    assert "| lung | chosen on it |" in table
    assert "| follow-up | 12 |" in table
