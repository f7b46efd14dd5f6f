"""An ensemble predicts the mean of trainings that differ in their seed alone."""

import numpy as np
import pytest

from common.agreement.federation import Federation
from common.errors import OptionError
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.prediction.ensemble import mean_prediction, require_ensemble


def seeded(federation: Federation, *seeds: int) -> dict[str, Federation]:
    return {f"run {n}": federation.changed({"training.seed": str(s)}) for n, s in enumerate(seeds)}


def test_trainings_from_different_seeds_make_an_ensemble(federation: Federation) -> None:
    require_ensemble(seeded(federation, 0, 1, 2))
    require_ensemble(seeded(federation, 5, 3, 0, 7))


@pytest.mark.parametrize("seeds", [(0,), (0, 1), (0, 1, 1), (2, 0, 2)])
def test_too_few_trainings_and_equal_seeds_are_refused(
    federation: Federation, seeds: tuple[int, ...]
) -> None:
    with pytest.raises(OptionError):
        require_ensemble(seeded(federation, *seeds))


def test_a_run_of_another_federation_file_is_refused_by_its_name(federation: Federation) -> None:
    runs = seeded(federation, 0, 1, 2)
    runs["run 2"] = runs["run 2"].changed({"training.rounds": "7"})
    with pytest.raises(OptionError) as refused:
        require_ensemble(runs)
    assert refused.value.where == "run 2"


def test_survival_is_averaged_at_each_time_up_to_the_end_that_all_have_seen() -> None:
    first = SurvivalPrediction(np.zeros(1), np.array([1.0, 2.0, 4.0]), np.array([[0.9, 0.8, 0.6]]))
    second = SurvivalPrediction(np.zeros(1), np.array([1.5, 3.0]), np.array([[0.7, 0.4]]))
    mean = mean_prediction([first, second])
    assert isinstance(mean, SurvivalPrediction)
    assert mean.times.tolist() == [1.0, 2.0, 3.0]
    expected = (first.at([1, 2, 3]) + second.at([1, 2, 3])) / 2
    assert mean.survival == pytest.approx(expected)
    assert mean.survival[0] == pytest.approx([(0.9 + 0.8) / 2, (0.8 + 0.6) / 2, (0.7 + 0.4) / 2])
    assert (np.diff(mean.survival) <= 0).all()


def test_probabilities_and_numbers_are_averaged() -> None:
    shares = np.array([[0.2, 0.8]]), np.array([[0.6, 0.4]]), np.array([[0.1, 0.9]])
    for kind in (ClassPrediction, LabelPrediction):
        mean = mean_prediction([kind(share) for share in shares])
        assert type(mean) is kind
        assert mean.probability[0] == pytest.approx([0.3, 0.7])
    number = mean_prediction([NumberPrediction(np.array([value])) for value in (1.0, 2.0, 6.0)])
    assert isinstance(number, NumberPrediction)
    assert number.value.tolist() == [3.0]
    only: Prediction = NumberPrediction(np.array([1.0]))
    assert mean_prediction([only]) is only
