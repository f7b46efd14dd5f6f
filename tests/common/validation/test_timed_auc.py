"""Area under the ROC curve by a horizon."""

import numpy as np
import pytest

from common.evaluation.classification import mean_auroc
from common.validation.observed import Outcomes
from common.validation.timed_auc import timed_auc


def test_without_censoring_it_is_the_auroc_of_the_event_by_the_horizon() -> None:
    draw = np.random.default_rng(0)
    risk = draw.random(200).round(1)  # with ties
    time = draw.exponential(1 / (0.2 + risk))
    outcomes = Outcomes(time, np.ones(200, dtype=np.bool_), 1.5)
    assert timed_auc(outcomes, risk) == pytest.approx(mean_auroc([(time <= 1.5, risk)]))


def test_a_case_after_censorings_stands_for_those_who_left() -> None:
    # two of four are censored between the cases: the later case weighs twice
    time = np.array([1.0, 2.0, 2.0, 3.0, 9.0, 9.0])
    event = np.array([True, False, False, True, False, False])
    risk = np.array([0.9, 0.5, 0.5, 0.1, 0.2, 0.3])
    remaining = 3 / 5  # of being uncensored, after two of five at risk left
    assert timed_auc(Outcomes(time, event, 5.0), risk) == pytest.approx(1 / (1 + 1 / remaining))


def test_without_a_case_or_a_control_there_is_none() -> None:
    event = np.array([True, True])
    assert np.isnan(timed_auc(Outcomes(np.array([1.0, 2.0]), event, 0.5), np.zeros(2)))
    assert np.isnan(timed_auc(Outcomes(np.array([1.0, 2.0]), event, 5.0), np.zeros(2)))
