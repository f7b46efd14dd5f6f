"""Brier scores by a horizon are those of torchsurv, and the null model's says the observed risk."""

import numpy as np
import pytest
import torch
from torchsurv.metrics.brier_score import BrierScore
from torchsurv.stats.ipcw import get_ipcw

from common.validation.brier import brier_scores
from common.validation.observed import Outcomes, observed_risk
from tests.common.validation.cohort import HORIZON, made


def of_torchsurv(outcomes: Outcomes, risk: np.ndarray) -> float:
    event, time = torch.from_numpy(outcomes.event), torch.from_numpy(outcomes.time)
    at = torch.tensor([HORIZON], dtype=torch.float64)
    score = BrierScore()(
        torch.from_numpy(1 - risk)[:, None],
        event,
        time,
        new_time=at,
        weight=get_ipcw(event, time),
        weight_new_time=get_ipcw(event, time, at),
    )
    return float(score[0])


def test_both_scores_are_those_of_torchsurv() -> None:
    patients = made()
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    model, null = brier_scores(outcomes, patients.risk)
    assert model == pytest.approx(of_torchsurv(outcomes, patients.risk), abs=1e-6)
    observed = np.full(300, observed_risk(outcomes).risk)
    assert null == pytest.approx(of_torchsurv(outcomes, observed), abs=1e-6)
    assert model < null


def test_without_censoring_it_is_the_mean_squared_error() -> None:
    patients = made()
    model, null = brier_scores(Outcomes.without_time(patients.had), patients.risk)
    assert model == pytest.approx(((patients.had - patients.risk) ** 2).mean())
    assert null == pytest.approx(patients.had.mean() * (1 - patients.had.mean()))


def test_there_is_no_score_beyond_the_follow_up() -> None:
    patients = made()
    beyond = Outcomes(np.minimum(patients.time, 30.0), patients.event & (patients.time < 30), HORIZON)
    assert np.isnan(brier_scores(beyond, patients.risk)).all()
