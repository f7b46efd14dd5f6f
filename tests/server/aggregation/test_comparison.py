from typing import TYPE_CHECKING

import numpy as np

from common.messages.statistics import SiteStatistics
from server.aggregation.comparison import compare
from server.records.apart import apart_lines, by_site

if TYPE_CHECKING:
    from tests.server.conftest import Bench


def sums(values: np.ndarray) -> np.ndarray:
    return np.array([[len(values)], [values.sum()], [np.square(values).sum()]])


def site(factor: float, seed: int) -> SiteStatistics:
    rng = np.random.default_rng(seed)
    time = np.log1p(rng.lognormal(6.5, 0.8, 60) * factor)
    column = sums(rng.normal(2, 0.5, 60))
    moments = {
        "modality:clinical": column,
        "modality:rna": np.tile(column, 2),
        "survival:os": sums(time[:30]),
        "rest:os": sums(time[30:]),
    }
    return SiteStatistics(moments, dict.fromkeys(moments, 0))


def test_months_where_days_are_asked_are_told_by_hospital_column_and_unit(bench: "Bench") -> None:
    sites = {"east": site(1, 0), "west": site(1, 1), "north": site(12 / 365.25, 2)}
    apart = compare(sites, bench.federation())
    assert [(difference.table, difference.column, difference.sites) for difference in apart] == [
        ("outcomes", "d", ("north",)),
    ]
    assert {difference.hint for difference in apart} == {"months instead of days?"}
    assert by_site(apart) == {"north": [difference.quantity for difference in apart]}
    assert "north" in apart_lines(apart)[1]


def test_hospitals_alike_and_a_federation_that_declares_its_scaling_have_no_difference(
    bench: "Bench",
) -> None:
    assert compare({"east": site(1, 0), "west": site(1, 1), "north": site(1, 2)}, bench.federation()) == ()
    empty = SiteStatistics({}, {})
    assert compare({"east": empty, "west": empty}, bench.federation()) == ()
