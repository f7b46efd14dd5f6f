"""Net benefit is that of dcurves to four decimals, with and without censoring."""

import json
from pathlib import Path

import numpy as np
import pytest

from common.validation.net_benefit import net_benefit, net_benefits
from common.validation.observed import Outcomes
from tests.common.validation.cohort import HORIZON, made
from tests.common.validation.make_oracle import THRESHOLDS

ORACLE = json.loads(Path(__file__).with_name("oracle.json").read_text())["dcurves"]


@pytest.mark.parametrize("kind", ["survival", "binary"])
def test_net_benefit_is_that_of_dcurves(kind: str) -> None:
    patients = made()
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    if kind == "binary":
        outcomes = Outcomes.without_time(patients.had)
    got = net_benefits(outcomes, patients.risk, THRESHOLDS)
    assert got[:, 0] == pytest.approx(np.array(ORACLE[kind]["risk"]), abs=1e-4)
    assert got[:, 1] == pytest.approx(np.array(ORACLE[kind]["all"]), abs=1e-4)


def test_a_model_that_treats_nobody_or_everybody_is_worth_as_much() -> None:
    patients = made()
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    assert net_benefit(outcomes, np.zeros(300), 0.1) == 0
    (everyone,) = net_benefits(outcomes, np.ones(300), (0.1,))
    assert everyone[0] == pytest.approx(everyone[1])


def test_it_is_undefined_where_the_treated_were_not_followed() -> None:
    time, event = np.array([1.0, 2.0, 50.0, 60.0]), np.array([True, False, False, True])
    assert np.isnan(net_benefit(Outcomes(time, event, HORIZON), np.array([0.9, 0.9, 0.1, 0.1]), 0.5))
