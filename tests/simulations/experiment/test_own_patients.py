"""A hospital's own model beside the federated one, on its own held-out patients."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from common.evaluation.predictions import ClassPrediction, Prediction
from common.tasks.response import ResponseTask
from simulations.experiment.own_patients import score_on_own_patients
from simulations.families.patients.held_out import HeldOutTask

RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))
NORTH = 12


def yes(probability: np.ndarray) -> Prediction:
    return ClassPrediction(np.stack([1 - probability, probability], axis=1))


def held_out(truth: np.ndarray) -> HeldOutTask:
    """Patients of two hospitals, whom the federated model tells apart in the north alone."""
    labels = truth[:, None].astype(np.float64)
    everybody = np.ones_like(labels, dtype=np.bool_)
    hospitals = ("north",) * NORTH + ("south",) * (len(truth) - NORTH)
    probability = np.where(np.arange(len(truth)) < NORTH, 0.2 + 0.6 * truth, 0.8 - 0.6 * truth)
    arms: dict[str, Sequence[Prediction]] = {"federated": [yes(probability)]}
    return HeldOutTask(
        RESPONSE, labels, everybody, labels, everybody, ("all",) * len(truth), arms, {"hospital": hospitals}
    )


TRUTH = np.tile([0, 1], 12)
COIN = yes(np.full(24, 0.5))


def test_both_models_are_judged_on_the_hospitals_own_patients_alone() -> None:
    north, south = (score_on_own_patients([held_out(TRUTH)], [COIN], site, 0) for site in ("north", "south"))
    assert north is not None
    assert south is not None
    assert (north.patients, north.events) == (NORTH, 6)
    assert (north.local, north.federated) == (0.5, 1.0)
    assert (south.local, south.federated) == (0.5, 0.0)
    assert north.gain.difference == pytest.approx(0.5)
    assert north.gain.low == pytest.approx(0.5), "the same patients are drawn for both"
    assert south.gain.high == pytest.approx(-0.5)
    assert north.intervals["local"] == (0.5, 0.5)


def test_a_fold_without_an_own_model_has_no_part() -> None:
    other = held_out(1 - TRUTH)
    both = score_on_own_patients([held_out(TRUTH), other], [COIN, None], "north", 0)
    assert both == score_on_own_patients([held_out(TRUTH)], [COIN], "north", 0)
    assert score_on_own_patients([held_out(TRUTH)], [None], "north", 0) is None


def test_too_few_patients_of_an_outcome_have_no_figures() -> None:
    few = TRUTH.copy()
    few[:NORTH] = [1] * 4 + [0] * 8
    assert score_on_own_patients([held_out(few)], [COIN], "north", 0) is None
    twice = score_on_own_patients([held_out(few), held_out(few)], [COIN, COIN], "north", 0)
    assert twice is not None
    assert (twice.patients, twice.events) == (24, 8)


def test_a_single_hospital_and_no_seed() -> None:
    alone = replace(held_out(TRUTH), divisions={})
    assert score_on_own_patients([alone], [COIN], "north", 0) is None, "its own model is the federated one"
    without = score_on_own_patients([held_out(TRUTH)], [COIN], "north", None)
    assert without is not None
    assert without.intervals["federated"] == (None, None)
    assert without.gain.low is None
