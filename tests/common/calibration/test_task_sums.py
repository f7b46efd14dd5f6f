import numpy as np
import pytest

from common.calibration.shapes import SAME_LEVEL, SAME_SLOPE, sums_of
from common.calibration.task_sums import computed
from common.evaluation.predictions import ClassPrediction, LabelPrediction, NumberPrediction
from common.tasks.task import Task
from tests.common.calibration.made_up import GRADE, RESPONSE, SCORE, SURVIVAL, TOXICITY, Array, made_up


def everybody(labels: Array) -> np.typing.NDArray[np.bool_]:
    return np.ones(labels.shape, dtype=np.bool_)


def within_limits(task: Task, sums: dict[str, Array], patients: int) -> None:
    limits = sums_of(task)
    assert sums.keys() == limits.keys()
    for name, limit in limits.items():
        assert sums[name].shape == limit.shape
        assert (sums[name] >= patients * min(limit.low, 0.0) - 1e-9).all()
        assert (sums[name] <= patients * limit.high + 1e-9).all()


def test_a_hospital_of_some_size_tells_everything() -> None:
    patients = made_up(100, 0.0, 0)
    sums = computed(SURVIVAL, patients.prediction, patients.labels, patients.labelled, 5)
    within_limits(SURVIVAL, sums, 100)
    assert (int(sums["patients"][0]), int(sums["least"][0])) == (100, 5)
    assert 5 <= sums["events"] <= 95
    assert (sums["expected"] > 0).all()
    assert sums["evidence"].any()


@pytest.mark.parametrize("events", [0, 1, 4])
def test_fewer_events_than_the_minimum_count_cannot_be_told_apart(events: int) -> None:
    patients = made_up(30, 0.0, 1)
    labels = patients.labels.copy()
    labels[:, 1] = np.arange(30) < events
    sums = computed(SURVIVAL, patients.prediction, labels, patients.labelled, 5)
    labels[:, 1] = 0
    none = computed(SURVIVAL, patients.prediction, labels, patients.labelled, 5)
    assert all(np.array_equal(sums[name], none[name]) for name in sums)
    assert sums["events"] == 0
    assert np.flatnonzero(sums["expected"]).tolist() == [SAME_SLOPE]


def test_fewer_patients_without_an_event_are_not_told_either() -> None:
    patients = made_up(30, 0.0, 2)
    labels = patients.labels.copy()
    labels[:, 0], labels[:, 1] = labels[:, 0].clip(max=50), np.arange(30) >= 4
    assert computed(SURVIVAL, patients.prediction, labels, patients.labelled, 5)["events"] == 0


def test_a_small_hospital_tells_no_more_numbers_than_hide_a_patient() -> None:
    patients = made_up(18, 1.0, 3, censored_after=400)
    labels = patients.labels.copy()
    labels[:, 1], labels[:, 0] = np.arange(18) < 9, labels[:, 0].clip(max=50)
    sums = computed(SURVIVAL, patients.prediction, labels, patients.labelled, 5)
    assert sums["events"] == 9
    assert np.flatnonzero(sums["expected"]).tolist() == [SAME_SLOPE]
    assert not sums["evidence"].any()


@pytest.mark.parametrize("patients", [0, 1, 4])
def test_fewer_patients_than_the_minimum_count_give_zeros(patients: int) -> None:
    few = made_up(patients, 0.0, 4)
    rng = np.random.default_rng(0)
    shares = rng.uniform(size=(patients, 2))
    index, flags = np.zeros((patients, 1)), np.zeros((patients, 2))
    answers = (
        (SURVIVAL, few.prediction, few.labels),
        (RESPONSE, ClassPrediction(shares), index),
        (TOXICITY, LabelPrediction(shares), flags),
        (SCORE, NumberPrediction(shares[:, 0]), index),
    )
    for task, prediction, labels in answers:
        sums = computed(task, prediction, labels, everybody(labels), 5)
        within_limits(task, sums, patients)
        assert not any(values.any() for values in sums.values())


def test_two_classes_are_one_outcome_and_three_are_told_together_or_not_at_all() -> None:
    rng = np.random.default_rng(5)
    labels = np.repeat([0.0, 1.0, 2.0], [20, 17, 3])[:, None]
    probability = rng.dirichlet(np.ones(3), 40)
    sums = computed(GRADE, ClassPrediction(probability), labels, everybody(labels), 5)
    within_limits(GRADE, sums, 40)
    assert not sums["events"].any()
    two = computed(RESPONSE, ClassPrediction(probability[:, :2]), labels.clip(max=1), everybody(labels), 5)
    within_limits(RESPONSE, two, 40)
    assert two["events"].tolist() == [20]
    assert two["expected"][0, SAME_LEVEL] == pytest.approx(probability[:, 1].sum())


def test_labels_count_those_whose_label_is_known() -> None:
    labels = np.zeros((40, 2))
    labels[:12, 0] = 1
    labelled = everybody(labels)
    labelled[30:, 1] = False
    sums = computed(TOXICITY, LabelPrediction(np.full((40, 2), 0.3)), labels, labelled, 5)
    within_limits(TOXICITY, sums, 40)
    assert sums["patients"].tolist() == [40, 30]
    assert sums["events"].tolist() == [12, 0]


def test_numbers_tell_error_and_square() -> None:
    labels = np.array([[1.0], [2.0], [9.0], [4.0], [5.0]])
    sums = computed(SCORE, NumberPrediction(np.full(5, 5.0)), labels, everybody(labels), 5)
    within_limits(SCORE, sums, 5)
    assert sums["error"].tolist() == [4.0]
    assert sums["square"].tolist() == [16 + 9 + 16 + 1]


@pytest.mark.parametrize(("others", "counted"), [(3, 47), (30, 50), (0, 50)])
def test_beside_intervals_no_few_other_patients_are_counted(others: int, counted: int) -> None:
    calibrating, labels = np.arange(50) >= others, (np.arange(50.0) % 2)[:, None]
    probability = np.random.default_rng(0).random(50)
    for task, prediction in (
        (RESPONSE, ClassPrediction(np.stack([1 - probability, probability], 1))),
        (TOXICITY, LabelPrediction(np.stack([probability, probability], 1))),
        (SCORE, NumberPrediction(probability)),
    ):
        columns = np.repeat(labels, len(task.outcome_names) if task is TOXICITY else 1, axis=1)
        sums = computed(task, prediction, columns, everybody(columns), 5, calibrating)
        assert (sums["patients"] == counted).all()
        alone = computed(task, prediction, columns, everybody(columns), 5)
        assert (alone["patients"] == 50).all()


def test_beside_intervals_no_few_other_events_are_counted() -> None:
    patients = made_up(50, 0.0, 7)
    labels, calibrating = patients.labels.copy(), np.arange(50) >= 20
    labels[:, 0], labels[:, 1] = labels[:, 0].clip(max=50), (np.arange(50) < 2) | (np.arange(50) >= 30)
    sums = computed(SURVIVAL, patients.prediction, labels, patients.labelled, 5, calibrating)
    assert (int(sums["patients"][0]), int(sums["events"][0])) == (30, 20)
    labels[:8, 1] = 1
    sums = computed(SURVIVAL, patients.prediction, labels, patients.labelled, 5, calibrating)
    assert (int(sums["patients"][0]), int(sums["events"][0])) == (50, 28)
