"""Weighted regressions are those of statsmodels, and refuse what has no estimate."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.validation.observed import Outcomes, censoring_weights
from common.validation.regression import LinkFunction, fit, knots_of, spline
from tests.common.validation.cohort import HORIZON, made

ORACLE = json.loads(Path(__file__).with_name("oracle.json").read_text())["statsmodels"]


@pytest.mark.parametrize("kind", ["binary", "censored"])
def test_coefficients_and_robust_errors_are_those_of_statsmodels(kind: str) -> None:
    patients = made()
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    had, weights, link = patients.had, np.ones(len(patients.had)), LinkFunction.LOGIT
    if kind == "censored":
        had, weights, link = outcomes.had, censoring_weights(outcomes), LinkFunction.CLOGLOG
    x, ones = link.of(patients.risk), np.ones((len(patients.risk), 1))
    fits = {
        "slope": fit(np.column_stack([ones, x]), had, weights, link),
        "level": fit(ones, had, weights, link, offset=x),
        "smooth": fit(spline(x, knots_of(x, 3)), had, weights, link),
    }
    for name, fitted in fits.items():
        assert fitted is not None
        assert [*fitted.coefficients, *fitted.errors] == pytest.approx(ORACLE[kind][name], abs=1e-6)


@pytest.mark.parametrize("link", list(LinkFunction))
def test_links_return_what_was_transformed(link: LinkFunction) -> None:
    risk = np.linspace(0.001, 0.999, 97)
    assert link.risk(link.of(risk)) == pytest.approx(risk)
    ahead, behind = link.risk(link.of(risk) + 1e-6), link.risk(link.of(risk) - 1e-6)
    assert link.slope(link.of(risk)) == pytest.approx((ahead - behind) / 2e-6, abs=1e-8)
    assert np.isfinite(link.of(np.array([0.0, 1.0]))).all()


def test_a_separated_outcome_and_one_that_all_share_have_no_estimate() -> None:
    x = np.linspace(-1, 1, 20)
    design = np.column_stack([np.ones(20), x])
    for link in LinkFunction:
        assert fit(design, x > 0, np.ones(20), link) is None
        assert fit(design, np.ones(20, dtype=bool), np.ones(20), link) is None
        assert fit(design[:2], np.array([True, False]), np.ones(2), link) is None


def test_a_spline_is_linear_beyond_its_ends_and_smooth_within() -> None:
    knots = np.array([-1.0, 0.0, 0.5, 2.0])
    grid = np.linspace(-4, 6, 2001)
    columns = spline(grid, knots)
    bent = np.abs(np.diff(columns, 2, axis=0)).max(1)
    outside = (grid[1:-1] < -1.01) | (grid[1:-1] > 2.01)
    assert bent[outside].max() < 1e-9 < bent[~outside].max()
    assert columns.shape == (2001, 4)


@pytest.mark.parametrize("link", list(LinkFunction))
def test_very_small_risks_do_not_keep_a_spline_from_its_fit(link: LinkFunction) -> None:
    rng = np.random.default_rng(0)
    x = link.of(np.concatenate([rng.beta(0.6, 2.5, 500), np.full(20, 1e-7)]))
    happened = rng.random(520) < link.risk(1.4 * x + 0.4)
    fitted = fit(spline(x, knots_of(x, 4)), happened, np.ones(520), link)
    assert fitted is not None
    middle = np.quantile(x, [0.3, 0.5, 0.8])
    got = link.risk(spline(middle, knots_of(x, 4)) @ fitted.coefficients)
    assert got == pytest.approx(link.risk(1.4 * middle + 0.4), abs=0.1)
