import numpy as np
import pytest

from common.calibration.fitting import fitted
from common.calibration.task_sums import computed
from simulations.benchmarks.intervals.held_out import JudgedPatients
from simulations.benchmarks.intervals.levels import level_figures
from tests.common.calibration.made_up import SURVIVAL, made_up


def test_levels_bring_observed_over_expected_to_one_and_a_lower_brier_score() -> None:
    held = made_up(4000, 0.7, 0)
    sums = computed(SURVIVAL, held.prediction, held.labels, held.labelled, 5)
    table = fitted([SURVIVAL], {"here": {f"survival.{name}": values for name, values in sums.items()}})
    made = made_up(3000, 0.7, 1)
    patients = JudgedPatients(SURVIVAL, made.prediction, made.labels, np.full(3000, "here"))
    figures = level_figures(patients, table, 36.0)
    assert figures.ratio[0] > 1.4
    assert figures.ratio[1] == pytest.approx(1, abs=0.06)
    assert figures.brier[1] < figures.brier[0] < figures.null
    assert (figures.judged, figures.further) == (1, 0)
