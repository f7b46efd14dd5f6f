"""Pooling over hospitals: a published example, the likelihood itself, and what heterogeneity does."""

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.stats import multivariate_normal

from common.evaluation.bootstrap import replicate
from common.evaluation.pairs import mann_whitney
from common.validation.meta_analysis import Scale, concordance_error, pool

VACCINE = (
    (4, 119, 11, 128),
    (6, 300, 29, 274),
    (3, 228, 11, 209),
    (62, 13536, 248, 12619),
    (33, 5036, 47, 5761),
    (180, 1361, 372, 1079),
    (8, 2537, 10, 619),
    (505, 87886, 499, 87892),
    (29, 7470, 45, 7232),
    (17, 1699, 65, 1600),
    (186, 50448, 141, 27197),
    (5, 2493, 3, 2338),
    (27, 16886, 29, 17825),
)
"""Thirteen trials of BCG against tuberculosis (Colditz et al. 1994): cases and others, vaccinated and not."""


def ratios() -> list[tuple[float, float]]:
    cases, others, controls, spared = np.array(VACCINE, dtype=float).T
    ratio = cases / (cases + others) / (controls / (controls + spared))
    error = np.sqrt(1 / cases - 1 / (cases + others) + 1 / controls - 1 / (controls + spared))
    return list(zip(ratio.tolist(), error.tolist(), strict=True))


def test_the_published_example_is_pooled_as_published() -> None:
    pooled = pool(ratios(), Scale.LOG)
    assert pooled is not None
    assert pooled.hospitals == 13
    # Viechtbauer (2010), Conducting meta-analyses in R: -0.7145, tau^2 0.3132 by restricted maximum likelihood
    assert pooled.mean.value is not None
    assert np.log(pooled.mean.value) == pytest.approx(-0.7145, abs=1e-4)
    assert pooled.between**2 == pytest.approx(0.3132, abs=1e-4)


def test_the_variance_between_hospitals_maximises_the_likelihood_of_contrasts() -> None:
    figures = [(0.61, 0.09), (0.72, 0.05), (0.66, 0.07), (0.81, 0.06), (0.58, 0.12), (0.7, 0.1)]
    pooled = pool(figures, Scale.PLAIN)
    assert pooled is not None
    effects, variances = np.array(figures)[:, 0], np.array(figures)[:, 1] ** 2
    contrasts = null_space(np.ones((1, 6)))

    def likelihood(between: float) -> float:
        covariance = contrasts.T @ np.diag(variances + between) @ contrasts
        return float(multivariate_normal.logpdf(contrasts.T @ effects, np.zeros(5), covariance))

    best = likelihood(pooled.between**2)
    assert pooled.between > 0
    assert all(best >= likelihood(between) for between in np.linspace(0, 0.05, 301))
    weights = 1 / (variances + pooled.between**2)
    mean = (weights * effects).sum() / weights.sum()
    error = np.sqrt((weights * (effects - mean) ** 2).sum() / 5 / weights.sum())
    assert pooled.mean.value == pytest.approx(mean)
    assert pooled.mean.high == pytest.approx(mean + 2.570582 * error, abs=1e-5)
    low, high = pooled.predicted
    assert high - mean == pytest.approx(2.776445 * np.sqrt(pooled.between**2 + error**2), abs=1e-5)
    assert low + high == pytest.approx(2 * mean)


def test_equal_hospitals_have_nothing_between_them() -> None:
    pooled = pool([(0.7, 0.2), (0.7, 0.3), (0.7, 0.4)], Scale.LOGIT)
    assert pooled is not None
    assert pooled.between == 0
    assert pooled.predicted == pytest.approx((0.7, 0.7))


def test_two_hospitals_are_not_pooled() -> None:
    assert pool([(0.7, 0.1), (0.8, 0.1)], Scale.PLAIN) is None


def test_the_error_of_a_concordance_is_that_of_the_bootstrap() -> None:
    rng = np.random.default_rng(1)
    positive = rng.random(600) < 0.3
    score = rng.standard_normal(600) + positive

    def logit(rows: np.ndarray) -> float:
        concordant, pairs = mann_whitney(positive[rows], score[rows])
        return Scale.LOGIT.of(concordant / pairs)

    concordant, pairs = mann_whitney(positive, score)
    error = concordance_error(concordant / pairs, int(positive.sum()), int((~positive).sum()))
    assert error == pytest.approx(float(replicate(logit, 600, 0).std()), rel=0.25)
    assert np.isnan(concordance_error(1.0, 5, 5))
