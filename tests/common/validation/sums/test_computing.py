"""A hospital's sums: no small number among them, few enough numbers, and the limits of the gate."""

import numpy as np
import pytest

from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.agreement.settings import Participant
from common.evaluation.predictions import ClassPrediction, Prediction, SurvivalPrediction
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.task import Task
from common.validation.brier import brier_scores
from common.validation.observed import Array, Outcomes, observed_risk
from common.validation.sums.computing import judged_outcomes, task_sums
from common.validation.sums.shapes import RISKS, group_names, horizons_asked, main_horizon, sums_of, times_of
from common.validation.timed_auc import timed_auc
from tests.common.validation.cohort import HORIZON, Made, made

SURVIVAL = SurvivalTask(
    name="survival", time="months", event="died", unit="months", longest=200, typical=(12, 100)
)
RESPONSE = ResponseTask(name="response", label="response", classes=("no", "yes"))
FEDERATION = Federation(
    name="test",
    modalities=(
        Modality(
            name="clinical",
            node="clinical",
            columns=("age",),
            categories={"sex": ("f", "m")},
            ranges={"age": Plausible(unit="years", low=0, high=120)},
        ),
    ),
    tasks=(SURVIVAL, RESPONSE),
    participants=(Participant(name="north"),),
)
LEAST = 5


def predicted(task: Task, patients: Made) -> tuple[Prediction, Array]:
    if task is RESPONSE:
        both = np.column_stack([1 - patients.risk, patients.risk])
        return ClassPrediction(both), np.where(patients.had, 1.0, 0.0)[:, None]
    times = np.linspace(1, 120, 60)
    hazard = -np.log1p(-patients.risk) / HORIZON
    curves = np.exp(-hazard[:, None] * times)
    return SurvivalPrediction(patients.risk, times, curves), np.column_stack([patients.time, patients.event])


def sums_for(task: Task, patients: Made, edges: Array | None = None, least: int = LEAST) -> dict[str, Array]:
    prediction, labels = predicted(task, patients)
    judged = judged_outcomes(task, prediction, labels, np.ones(labels.shape, bool))
    people = np.arange(len(patients.time))
    groups = {
        "sex": np.where(people % 2, "m", "f").tolist(),
        "age": np.where(people < 3, "under 50", "50 to 64").tolist(),
    }
    return task_sums(task, judged, groups, group_names(FEDERATION), least, edges)


@pytest.mark.parametrize("task", [SURVIVAL, RESPONSE])
@pytest.mark.parametrize("patients", [12, 40, 300])
def test_sums_fit_the_shapes_and_limits_that_the_gate_holds_them_to(task: Task, patients: int) -> None:
    edges = np.array([0.1, 0.25])
    sums = sums_for(task, made(patients), edges)
    limits = sums_of(task, FEDERATION)
    assert set(sums) == set(limits)
    for name, limit in limits.items():
        assert sums[name].shape == limit.shape
        assert (sums[name] >= limit.low * patients).all()
        assert (sums[name] <= limit.high * patients + 1e-9).all()
    numbers = sum(int((array != 0).sum()) for name, array in sums.items() if name != "third_edges")
    assert numbers <= patients / 2 + 1


def test_sums_by_horizon_are_those_of_the_patients() -> None:
    patients = made(300)
    sums = sums_for(SURVIVAL, patients)
    main = main_horizon(SURVIVAL)
    assert horizons_asked(SURVIVAL)[main] == HORIZON
    outcomes = Outcomes(patients.time, patients.event, HORIZON)
    observed = observed_risk(outcomes)
    assert sums["patients"][0] == 300
    assert sums["events"][0, main] == outcomes.had.sum()
    assert sums["risk"][0, main] == pytest.approx(300 * observed.risk, abs=0.25)
    assert sums["spread"][0, main] == pytest.approx((300 * observed.error) ** 2, abs=0.25)
    # the curves of the prediction have no time at the horizon exactly
    assert sums["expected"][0, main] == pytest.approx(patients.risk.sum(), rel=1e-3)
    assert sums["squared"][0, main] == pytest.approx(300 * brier_scores(outcomes, patients.risk)[0], rel=1e-3)
    area = timed_auc(outcomes, patients.risk)
    assert sums["ranked"][0, main] == pytest.approx(outcomes.had.sum() * area, rel=1e-3)
    assert not sums_for(RESPONSE, patients)["ranked"].any(), "the concordance of a class is its area"


def test_what_is_about_few_patients_is_nothing() -> None:
    patients = made(300)
    few = Made(patients.time, patients.event & (np.cumsum(patients.event) <= 4), patients.risk, patients.had)
    assert not any(array.any() for array in sums_for(SURVIVAL, few).values())
    rare = Made(patients.time, patients.event, patients.risk, np.arange(300) < 4)
    assert not any(array.any() for array in sums_for(RESPONSE, rare).values())


def test_a_hospital_with_few_events_by_the_main_horizon_and_enough_later_tells_of_the_later_one() -> None:
    patients = made(300)
    event = patients.event & ((patients.time > HORIZON) | (np.cumsum(patients.event) <= 2))
    sums = sums_for(SURVIVAL, Made(patients.time, event, patients.risk, patients.had), np.array([0.15, 0.25]))
    assert sums["patients"][0] == 300
    assert np.flatnonzero(sums["events"][0]).min() > main_horizon(SURVIVAL)
    assert not sums["cells"].any()


@pytest.mark.parametrize("task", [SURVIVAL, RESPONSE])
@pytest.mark.parametrize("seed", range(4))
def test_every_count_and_every_difference_of_counts_is_large(task: Task, seed: int) -> None:
    edges = np.array([0.15, 0.25])
    sums = sums_for(task, made(500, seed), edges)
    for patients, events, _, _ in sums["cells"][0]:
        assert patients == 0 or min(events, patients - events) >= LEAST
    assert sums["cells"][0, :, 0].sum() == sums["patients"][0] == 500
    by_horizon = sums["events"][0][sums["events"][0] > 0]
    assert (np.diff(by_horizon, prepend=0) >= LEAST).all()
    women, men, *ages = sums["groups"][0]
    for patients, events, _, _ in (women, men):
        assert min(events, patients - events) >= LEAST
    assert not any(age[0] for age in ages)  # the few under 50 would follow from the others
    if task is SURVIVAL:
        for number in range(3):
            cells = sums["thirds"][number]
            told = cells[cells[:, 0] > 0]
            assert (told[:, 0] >= LEAST).all()
            assert ((told[:, 1] == 0) | (told[:, 1] >= LEAST)).all()


def test_thirds_follow_only_edges_that_no_cell_of_the_hospital_spans() -> None:
    patients = made(500)
    ends = np.flatnonzero(sums_for(SURVIVAL, patients)["cells"][0, :, 0])
    kept = [RISKS[end] for end in ends[:-1]]
    spanned = [risk for risk in RISKS if risk not in kept]
    assert sums_for(SURVIVAL, patients, np.array([kept[0], kept[2]]))["third_patients"].sum() == 500
    assert not sums_for(SURVIVAL, patients, np.array([spanned[0], kept[2]]))["thirds"].any()
    assert not sums_for(SURVIVAL, patients, np.zeros(2))["thirds"].any()


def test_a_model_that_has_not_seen_a_horizon_says_nothing_of_it() -> None:
    patients = made(500)
    prediction, labels = predicted(SURVIVAL, patients)
    assert isinstance(prediction, SurvivalPrediction)
    short = SurvivalPrediction(prediction.risk, prediction.times[:25], prediction.survival[:, :25])
    judged = judged_outcomes(SURVIVAL, short, labels, np.ones(labels.shape, bool))
    sums = task_sums(SURVIVAL, judged, {}, [], LEAST, None)
    asked = np.array(horizons_asked(SURVIVAL))
    assert sums["events"][0, asked <= short.times[-1]].any()
    assert not sums["events"][0, asked > short.times[-1]].any()
    assert set(horizons_asked(SURVIVAL)) <= set(times_of(SURVIVAL))
