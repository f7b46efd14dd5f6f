"""Statistics of hospitals, of which none rules the preprocessing of all."""

import numpy as np
import pytest

from common.messages.statistics import SiteStatistics
from server.aggregation.site_sums import moderated, outliers

NAME = "modality:rna"


def sums(mean: float, deviation: float, patients: float = 40.0, columns: int = 3) -> np.ndarray:
    column = np.array([patients, patients * mean, patients * (deviation**2 + mean**2)])
    return np.tile(column[:, None], columns)


def hospitals(*others: np.ndarray, count: int = 6) -> dict[str, SiteStatistics]:
    """Hospitals alike, and others."""
    alike = [sums(5.0 + number / 10, 2.0) for number in range(count)]
    return {
        str(number): SiteStatistics({NAME: part}, {NAME: 0}) for number, part in enumerate([*alike, *others])
    }


def pooled(sites: dict[str, SiteStatistics], sized: bool = True) -> tuple[float, float]:
    total = np.sum([site.moments[NAME] for site in moderated(sites, sized)], axis=0)[:, 0]
    mean = total[1] / total[0]
    return float(mean), float(np.sqrt(total[2] / total[0] - mean**2))


def test_sums_within_reach_stay_as_they_came_to_the_bit() -> None:
    sites = hospitals(sums(9.0, 4.0))
    assert outliers(sites) == set()
    for before, after in zip(sites.values(), moderated(sites, True), strict=True):
        assert np.array_equal(before.moments[NAME], after.moments[NAME])


@pytest.mark.parametrize("lie", [sums(1e20, 1e20), sums(-1e20, 0.0), sums(5.0, 1e20), sums(500.0, 2.0)])
def test_a_hospital_far_from_all_others_is_an_outlier(lie: np.ndarray) -> None:
    assert outliers(hospitals(lie)) == {"6"}


@pytest.mark.parametrize("lie", [sums(100.0, 2.0), sums(-100.0, 90.0)])
def test_a_hospital_beyond_reach_counts_as_if_it_were_there(lie: np.ndarray) -> None:
    mean, deviation = pooled(hospitals(lie))
    assert abs(mean - 5.25) <= 10 * 2.0 / 7 + 0.3
    assert deviation < 10 * 2.0


def test_a_column_that_is_the_same_everywhere_is_no_measure() -> None:
    """A gene that one hospital's platform alone can see."""
    sites = hospitals(sums(5.0, 2.0))
    for site in sites.values():
        site.moments[NAME][:, 2] = (40.0, 0.0, 0.0)
    sites["6"].moments[NAME][:, 2] = sums(3.0, 1.0)[:, 0]
    assert outliers(sites) == set()
    assert np.array_equal(moderated(sites, True)[6].moments[NAME], sites["6"].moments[NAME])


def test_withheld_columns_say_nothing() -> None:
    sites = hospitals(np.zeros((3, 3)))
    assert outliers(sites) == set()
    assert moderated(sites, True)[6].moments[NAME].tolist() == np.zeros((3, 3)).tolist()


def test_of_two_hospitals_none_is_taken_for_the_liar() -> None:
    sites = hospitals(sums(1e20, 1.0), count=1)
    assert outliers(sites) == set()
    assert outliers({}) == set()


def test_of_undeclared_size_a_hospital_counts_for_three_times_the_median() -> None:
    sites = hospitals(sums(9.0, 2.0, patients=1e12))
    mean, _ = pooled(sites, sized=False)
    assert mean == pytest.approx((6 * 40 * 5.25 + 120 * 9.0) / 360)
    assert pooled(sites, sized=True)[0] == pytest.approx(9.0)


@pytest.mark.parametrize("distance", [0.0, 4.0, 15.0, 60.0, 150.0])
def test_no_hospital_moves_the_center_by_much(distance: float) -> None:
    sites = hospitals(sums(5.25 + distance, 2.0), count=20)
    mean = 5.95 if outliers(sites) else pooled(sites)[0]
    assert abs(mean - 5.95) <= 10 * 2.0 / 21 + 0.1
