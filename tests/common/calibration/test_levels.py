import numpy as np
import pytest

from common.calibration.levels import GRID, fit_levels, fit_means
from common.calibration.likelihoods import Tally, poisson


def test_one_hospital_has_the_logarithm_of_observed_over_expected() -> None:
    levels = fit_levels([poisson(Tally(4000, 9000, 5), 3000 * np.exp(GRID))])
    assert levels.hospitals[0].value == pytest.approx(np.log(4 / 3), abs=0.01)
    assert levels.hospitals[0].error == pytest.approx(1 / np.sqrt(4000), abs=0.01)


def test_hospitals_that_are_alike_have_one_level() -> None:
    rng = np.random.default_rng(0)
    counts = rng.poisson(1.3 * 100, 20)
    levels = fit_levels([poisson(Tally(int(count), 300, 5), 100 * np.exp(GRID)) for count in counts])
    assert levels.deviation < 0.1
    assert max(abs(level.value - np.log(1.3)) for level in levels.hospitals) < 0.12
    assert levels.pooled.value == pytest.approx(np.log(counts.sum() / 2000), abs=0.02)


def test_hospitals_that_differ_keep_theirs_and_few_events_are_drawn_to_the_others() -> None:
    planted = np.linspace(-0.6, 0.6, 20)
    large = [poisson(Tally(round(500 * np.exp(level)), 2000, 5), 500 * np.exp(GRID)) for level in planted]
    small = poisson(Tally(5, 20, 5), 1.0 * np.exp(GRID))
    levels = fit_levels([*large, small])
    assert [level.value for level in levels.hospitals[:-1]] == pytest.approx(planted, abs=0.03)
    assert levels.hospitals[-1].value < 0.6  # alone it would be 1.6
    assert levels.deviation == pytest.approx(np.std(planted), abs=0.08)


def test_hospitals_that_keep_few_events_are_no_bias() -> None:
    rng = np.random.default_rng(1)
    counts = rng.poisson(4.0, 200)
    tallies = [Tally(int(count) if count >= 5 else None, 40, 5) for count in counts]
    levels = fit_levels([poisson(tally, 4.0 * np.exp(GRID)) for tally in tallies])
    telling = [tally.events for tally in tallies if tally.events]
    assert np.log(np.mean(telling) / 4) > 0.4  # those who tell alone would give this
    assert levels.pooled.value == pytest.approx(0, abs=0.12)


def test_expected_events_add_up_to_those_observed() -> None:
    rng = np.random.default_rng(2)
    counts = rng.poisson(30 * np.exp(rng.normal(0.2, 0.3, 20)))
    levels = fit_levels([poisson(Tally(int(count), 100, 5), 30 * np.exp(GRID)) for count in counts])
    after = sum(30 * np.exp(level.value) for level in levels.hospitals)
    assert after == pytest.approx(counts.sum(), rel=0.03)


def test_no_hospital_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        fit_levels([])


def test_means_are_drawn_together_by_their_spread() -> None:
    alike = fit_means([1.0, 1.1, 0.9], [0.1, 0.1, 0.1])
    assert alike.deviation == 0
    assert [level.value for level in alike.hospitals] == pytest.approx([1.0] * 3)
    apart = fit_means([0.0, 10.0], [0.01, 0.01])
    assert [level.value for level in apart.hospitals] == pytest.approx([0.0, 10.0], abs=0.01)
    assert apart.pooled.value == pytest.approx(5)
    assert fit_means([3.0], [0.25]).hospitals[0].value == 3.0
