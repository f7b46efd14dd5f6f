"""Limits keep false warnings rare, and find what they say that they find."""

from dataclasses import replace

import numpy as np
import pytest

from common.structure.limits import (
    BUDGET,
    Check,
    FigureLimit,
    Key,
    Moments,
    moments,
    observed_limit,
    share_limits,
    size_limit,
)

CLEAR = Moments(500, 0.3, 0.006, 1.0, 0.001, 0.0)
BLURRED = Moments(500, 0.3, 0.01, 0.55, 0.01, 0.0)


def _limits(**found: Moments) -> dict[str, FigureLimit]:
    keys: dict[Key, Moments] = {
        (Check.AGREEMENT if name == "pair" else Check.STRUCTURE, (name,)): each
        for name, each in found.items()
    }
    return {limit.modalities[0]: limit for limit in share_limits(keys)}


def test_the_share_of_ordinary_figures_beyond_all_limits_is_within_the_budget() -> None:
    draw = np.random.default_rng(0)
    limits = _limits(rna=CLEAR, pair=BLURRED)
    beyond = 0.0
    for name, figure in (("rna", CLEAR), ("pair", BLURRED)):
        size = figure.mean * (1 - figure.mean) / figure.variance - 1
        ordinary = draw.beta(figure.mean * size, (1 - figure.mean) * size, 200_000)
        spoilt = draw.normal(figure.spoilt_mean, figure.spoilt_variance**0.5, 200_000)
        beyond += float((ordinary > limits[name].look).mean())
        assert (spoilt > limits[name].look).mean() == pytest.approx(limits[name].caught, abs=0.01)
    assert 0.5 * BUDGET < beyond <= 1.02 * BUDGET
    assert limits["rna"].caught > 0.999
    assert limits["pair"].withheld > limits["pair"].look


def test_a_check_that_finds_nothing_is_left_out_and_its_budget_given_to_others() -> None:
    useless = Moments(500, 0.5, 0.02, 0.5, 0.02, 0.0)
    assert _limits(rna=BLURRED, none=useless)["rna"].look == _limits(rna=BLURRED)["rna"].look
    assert not _limits(none=useless)


def test_a_pair_that_tells_turned_signs_alone_is_cautious() -> None:
    weak = Moments(500, 0.28, 0.008, 0.45, 0.016, 0.0)
    limit = _limits(pair=weak)["pair"]
    assert limit.look > _limits(pair=replace(weak, spoilt_variance=0.004))["pair"].look


def test_a_table_has_to_be_nearer_to_spoilt_ones() -> None:
    limit = _limits(rna=CLEAR)["rna"]
    assert limit.table_limit(10_000) == pytest.approx((CLEAR.mean + CLEAR.spoilt_mean) / 2)
    wide = replace(limit, deviation=0.5)
    assert wide.table_limit(10) > wide.table_limit(20) > wide.table_limit(10_000)


def test_moments_add_up_over_hospitals_and_tell_their_spread() -> None:
    draw = np.random.default_rng(1)
    groups = [draw.normal(mean, 1.0, 400) for mean in (0.0, 0.0, 2.0)]
    sums = [np.array([len(x), x.sum(), np.square(x).sum(), 0.0, 0.0]) for x in groups]
    whole, figure = np.concatenate(groups), moments([*sums, np.zeros(5)])
    assert figure is not None
    assert figure.mean == pytest.approx(whole.mean())
    assert figure.variance == pytest.approx(whole.var())
    assert figure.between == pytest.approx(8 / 9, abs=0.15)
    assert moments([np.zeros(5)]) is None


def test_sizes_and_gaps_have_limits_by_deviations() -> None:
    figure = Moments(300, -0.1, 0.25, 0.0, 0.0, 0.0)
    assert (size_limit("rna", figure).look, size_limit("rna", figure).withheld) == pytest.approx((2.25, 3.0))
    whole = observed_limit("rna", Moments(300, 1.0, 0.0, 0.0, 0.0, 0.0))
    assert (whole.look, whole.withheld) == (0.5, float("inf"))
    assert observed_limit("rna", Moments(300, 0.6, 0.04, 0.0, 0.0, 0.0)).look > 1


def test_of_two_pairs_that_share_a_modality_the_clearer_one_has_the_budget() -> None:
    weaker = replace(BLURRED, spoilt_mean=0.52)
    first, second, apart = ("rna", "protein"), ("rna", "copies"), ("one", "two")

    def look(second_pair: tuple[str, ...]) -> float:
        found: dict[Key, Moments] = {
            (Check.AGREEMENT, first): BLURRED,
            (Check.AGREEMENT, second_pair): weaker,
        }
        return next(limit.look for limit in share_limits(found) if limit.modalities == second_pair)

    assert look(second) > look(apart)
