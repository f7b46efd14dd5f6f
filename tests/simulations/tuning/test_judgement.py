import math

import numpy as np
import pytest

from simulations.tuning.judgement import level_for, paired_difference


def test_a_constant_difference_is_certain() -> None:
    judged = paired_difference(np.full((5, 3), 0.02), 0.95)
    assert (judged.mean, judged.low, judged.high) == pytest.approx((0.02, 0.02, 0.02))
    assert judged.pairs == 15
    nothing = paired_difference(np.zeros((5, 3)), 0.95)
    assert (nothing.low, nothing.high) == (0, 0)


def test_the_interval_misses_no_difference_at_its_level_whatever_folds_and_seeds_vary_by(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("simulations.tuning.judgement.REPLICATES", 1000)
    generator = np.random.default_rng(0)
    for folds, seeds, between in ((5, 3, 0.0), (5, 3, 0.5), (3, 2, 0.5), (5, 1, 0.5)):
        above = 0
        for _ in range(400):
            sample = generator.normal(0, between, (folds, 1)) + generator.normal(size=(folds, seeds))
            above += paired_difference(sample, 0.9).low > 0
        assert above / 400 < 0.09, (folds, seeds, between)  # 0.05, with four standard errors


def test_differences_that_vary_between_folds_are_less_certain_than_between_seeds() -> None:
    between = np.repeat([[-0.02], [-0.01], [0.0], [0.01], [0.02]], 3, axis=1)
    within = np.array([[-0.02, 0.0, 0.02]] * 5)
    wide, narrow = (paired_difference(table, 0.95) for table in (between, within))
    assert wide.high - wide.low > narrow.high - narrow.low


def test_more_settings_need_more_certainty() -> None:
    assert level_for(1) == pytest.approx(0.95)
    assert level_for(10) == pytest.approx(0.995)
    table = np.random.default_rng(1).normal(0.01, 0.02, (5, 3))
    few, many = (paired_difference(table, level_for(settings)) for settings in (1, 20))
    assert many.low < few.low < few.mean < few.high < many.high


def test_missing_pairs_are_left_out() -> None:
    table = np.array([[0.1, np.nan, 0.3], [np.nan] * 3, [0.4, 0.4, 0.4]])
    judged = paired_difference(table, 0.95)
    assert judged.mean == pytest.approx(0.3)
    assert judged.pairs == 5
    assert judged.low < 0.3 < judged.high


def test_a_single_fold_has_no_interval_and_no_pair_no_mean() -> None:
    single = paired_difference(np.array([[0.1, 0.2], [np.nan, np.nan]]), 0.95)
    assert single.mean == pytest.approx(0.15)
    assert math.isnan(single.low)
    assert math.isnan(single.high)
    none = paired_difference(np.full((2, 2), np.nan), 0.95)
    assert math.isnan(none.mean)
    assert none.pairs == 0
