import numpy as np
import pytest

from common.intervals.scores import of_times
from simulations.benchmarks.intervals.held_out import JudgedPatients
from simulations.benchmarks.intervals.methods import conformal, dropped, own, taken_for_events
from tests.common.calibration.made_up import SURVIVAL, made_up

MADE = made_up(500, 0.0, 0)
PATIENTS = JudgedPatients(SURVIVAL, MADE.prediction, MADE.labels, np.repeat(["a", "b"], 250))


def test_the_model_s_word_is_its_own_level() -> None:
    assert own(PATIENTS)["a"] == pytest.approx((0.2, 0.1))


def test_mistakes_are_quantiles_of_scores_as_if_all_were_events() -> None:
    scores = of_times(MADE.prediction, MADE.labels[:, 0])
    event = MADE.labels[:, 1] > 0
    assert taken_for_events(PATIENTS)["a"][1] == np.sort(scores)[int(0.1 * 501) - 1]
    assert dropped(PATIENTS)["b"][1] == np.sort(scores[event])[int(0.1 * (event.sum() + 1)) - 1]


def test_hospitals_with_few_patients_leave_nobody_a_threshold() -> None:
    few = PATIENTS.select(np.arange(248, 252))
    assert conformal(5)(few) == {"a": (), "b": ()}
