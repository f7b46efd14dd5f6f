"""Numbers as a kind of task, against closed forms and scikit-learn."""

from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError
from sklearn.metrics import mean_absolute_error, r2_score

from common.errors import InputError
from common.evaluation.predictions import ClassPrediction, NumberPrediction
from common.tasks.regression import RegressionTask
from common.tasks.task import Lack, PredictionMismatch

TASK = RegressionTask(name="extent", target="cm", low=0, high=40, unit="cm")
MOMENTS = np.array([[4.0], [40.0], [480.0]])  # of 10 +- sqrt(20)


@pytest.mark.parametrize("ends", [{"low": 4, "high": 4}, {"typical": (5, 3)}, {"typical": (-1, 3)}])
def test_a_range_that_is_none_is_refused(ends: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        RegressionTask(**{"name": "extent", "target": "cm", "low": 0, "high": 40} | ends)


def test_numbers_outside_the_plausible_range_are_faults() -> None:
    labels, problems = TASK.check_labels(np.array([[3.0], [np.nan], [40.0]]))
    assert not problems
    assert labels.shape == (3, 1)
    _, problems = TASK.check_labels(np.array([[-1.0], [41.0]]))
    assert [problem.column for problem in problems] == ["cm", "cm"]
    assert not any(problem.is_warning for problem in problems)


def test_the_loss_is_the_squared_error_in_deviations_and_of_no_other_patient() -> None:
    prepared = torch.tensor([10.0, 4.0])
    labels, labelled = torch.tensor([[10.0], [18.0], [30.0]]), torch.tensor([[True], [True], [False]])
    loss = TASK.loss(torch.tensor([[0.5], [1.0], [9.0]]), labels, labelled, prepared)
    assert loss.tolist() == [0.25, 1.0, 0.0]
    predicted = TASK.predict(torch.tensor([[0.5], [-100.0]]), prepared)
    assert isinstance(predicted, NumberPrediction)
    assert predicted.value.tolist() == [12.0, 0.0], "no number beyond the plausible"
    with pytest.raises(TypeError):
        TASK.loss(torch.zeros(3, 1), labels, labelled, None)


def test_mean_and_deviation_come_from_sums_over_hospitals() -> None:
    values, present = TASK.moment_values(torch.tensor([[3.0], [5.0]]), torch.tensor([[True], [False]]))
    assert values[:, 0].tolist() == [3.0, 5.0]
    assert present[:, 0].tolist() == [True, False]
    assert TASK.prepared_of(MOMENTS).tolist() == pytest.approx([10, 20**0.5])
    with pytest.raises(InputError, match="cm"):
        TASK.prepared_of(np.zeros((3, 1)))
    alike = TASK.prepared_of(np.array([[4.0], [40.0], [400.0]]))
    assert alike.tolist() == pytest.approx([10, 0.2]), "a deviation of 0 scales nothing"
    noisy = TASK.prepared_of(np.array([[4.0], [-40.0], [1e6]]))
    assert noisy.tolist() == [0.0, 20.0], "noised sums give no number beyond the range"


def test_constants_from_the_file_alone() -> None:
    assert TASK.declared().tolist() == [20.0, 10.0]
    assert TASK.model_copy(update={"typical": (10.0, 14.0)}).declared().tolist() == [12.0, 2.0]
    low, high = TASK.moment_limits()
    assert (low.tolist(), high.tolist()) == ([0.0], [40.0])


@pytest.mark.parametrize(
    ("prepared", "plausible"),
    [
        ([10.0, 4.0], True),
        ([-1.0, 4.0], False),
        ([41.0, 4.0], False),
        ([10.0, 21.0], False),
        ([10.0, 0.1], False),
        ([10.0, 1.0], False),  # less than half of this site's own deviation
        ([float("nan"), 4.0], False),
        ([10.0, float("inf")], False),
    ],
)
def test_a_hospital_computes_with_a_mean_and_deviation_that_numbers_can_have(
    prepared: list[float], plausible: bool
) -> None:
    assert TASK.is_plausible(torch.tensor(prepared), MOMENTS, np.array([0.5])) == plausible
    if prepared == [10.0, 1.0]:
        assert TASK.is_plausible(torch.tensor(prepared), None, None)


def test_metrics_are_those_of_scikit_learn() -> None:
    rng = np.random.default_rng(3)
    truth, value = rng.uniform(0, 40, (30, 1)), rng.uniform(0, 40, 30)
    labelled = rng.random((30, 1)) < 0.8
    scores = TASK.scores(NumberPrediction(value), truth, labelled, truth, labelled)
    rows = labelled[:, 0]
    assert scores["r2"] == pytest.approx(r2_score(truth[rows, 0], value[rows]))
    assert scores["mae"] == pytest.approx(mean_absolute_error(truth[rows, 0], value[rows]))
    assert TASK.headline(NumberPrediction(value), truth, labelled) == scores["r2"]
    alike = np.full((30, 1), 7.0)
    assert np.isnan(TASK.headline(NumberPrediction(value), alike, labelled))
    nobody = TASK.scores(NumberPrediction(value), truth, np.zeros_like(labelled), truth, labelled)
    assert np.isnan(list(nobody.values())).all()
    with pytest.raises(PredictionMismatch):
        TASK.headline(ClassPrediction(np.ones((30, 2))), truth, labelled)


def test_pairs_are_ordered_numbers_and_few_patients_tell_none() -> None:
    labels, known = torch.tensor([[1.0], [2.0], [2.0], [5.0]]), torch.ones(4, 1).bool()
    pairs = TASK.pairs(torch.tensor([[0.1], [0.3], [0.2], [0.2]]), labels, known, 1)
    assert tuple(pairs) == (3.5, 5)
    assert tuple(TASK.pairs(torch.zeros(4, 1), labels, known, 4)) == (0, 0)
    assert TASK.most_pairs(4) == 6
    assert TASK.fewest_pairs(3) == 3


def test_a_task_without_two_numbers_cannot_be_learnt() -> None:
    labels = torch.tensor([[3.0], [3.0], [4.0]])
    for known, lack in (((0, 0, 0), Lack.LABELS), ((1, 1, 0), Lack.CONTRAST), ((0, 1, 1), None)):
        assert TASK.lack(labels, torch.tensor(known).bool()[:, None]) == lack
