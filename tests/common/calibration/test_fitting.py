import numpy as np
import pytest
from scipy.special import expit

from common.calibration.calibrating import calibrated
from common.calibration.fitting import fitted
from common.calibration.task_sums import computed
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    NumberPrediction,
    SurvivalPrediction,
)
from tests.common.calibration.made_up import RESPONSE, SCORE, SURVIVAL, TOXICITY, Array, MadeUp, made_up


def survival_sums(hospitals: dict[str, MadeUp], least: int = 5) -> dict[str, dict[str, Array]]:
    return {
        name: {
            f"survival.{kind}": values
            for kind, values in computed(SURVIVAL, one.prediction, one.labels, one.labelled, least).items()
        }
        for name, one in hospitals.items()
    }


def named(task: str, sums: dict[str, Array]) -> dict[str, Array]:
    return {f"{task}.{name}": values for name, values in sums.items()}


def test_twenty_hospitals_with_planted_levels_return_to_one() -> None:
    planted = {f"hospital {number}": level for number, level in enumerate(np.linspace(-0.7, 0.7, 20))}
    hospitals = {name: made_up(1500, level, seed) for seed, (name, level) in enumerate(planted.items())}
    table = fitted([SURVIVAL], survival_sums(hospitals))
    outcome = table.tasks["survival"]["event"]
    assert outcome.pooled is not None
    before: list[float] = []
    after: list[float] = []
    for name in planted:
        fresh = made_up(4000, planted[name], 1000 + len(after))
        moved = calibrated(fresh.prediction, SURVIVAL, table, name)
        assert isinstance(moved, SurvivalPrediction)
        truth = 1 - fresh.truth.at([36.0]).mean()
        before.append(truth / (1 - fresh.prediction.at([36.0]).mean()))
        after.append(truth / (1 - moved.at([36.0]).mean()))
        assert outcome.hospitals[name].level == pytest.approx(planted[name], abs=0.17)
    assert (min(before), max(before)) == pytest.approx((0.57, 1.8), abs=0.1)
    assert np.mean(after) == pytest.approx(1, abs=0.05)
    assert np.sqrt(np.mean(np.square(np.array(after) - 1))) < 0.05
    assert outcome.pooled.observed is not None
    assert outcome.pooled.observed / outcome.pooled.after == pytest.approx(1, abs=0.05)


def test_few_events_are_refused_with_their_number() -> None:
    hospitals = {f"hospital {seed}": made_up(60, 0.0, seed, censored_after=10) for seed in range(3)}
    outcome = fitted([SURVIVAL], survival_sums(hospitals)).tasks["survival"]["event"]
    assert outcome.pooled is None
    assert 0 < outcome.events < 30
    assert outcome.needed == 30
    assert outcome.hospitals == {}


def test_nobody_who_answers_is_no_calibration() -> None:
    assert fitted([SURVIVAL], {}).tasks["survival"]["event"].events == 0


def test_numbers_that_no_patients_have_are_left_out() -> None:
    sums = survival_sums({f"hospital {seed}": made_up(300, 0.2, seed) for seed in range(3)})
    honest = fitted([SURVIVAL], sums)
    impossible = {name: values.copy() for name, values in sums["hospital 0"].items()}
    impossible["survival.events"] = impossible["survival.patients"] + 1
    assert fitted([SURVIVAL], sums | {"liar": impossible}) == honest
    zeros = {name: np.zeros_like(values) for name, values in impossible.items()}
    assert fitted([SURVIVAL], sums | {"liar": zeros}) == honest


def test_no_hospital_decides_the_level_of_the_others() -> None:
    sums = survival_sums({f"hospital {seed}": made_up(400, 0.0, seed) for seed in range(8)})
    liar = {name: values.copy() for name, values in sums["hospital 0"].items()}
    liar["survival.events"] = np.array([395.0])
    moved = fitted([SURVIVAL], sums | {"liar": liar}).tasks["survival"]["event"]
    assert max(abs(row.level) for name, row in moved.hospitals.items() if name != "liar") < 0.25


def test_a_slope_is_taken_where_the_evidence_suffices() -> None:
    many = {f"hospital {seed}": made_up(1000, 0.0, seed, slope=0.6) for seed in range(4)}
    few = {f"hospital {seed}": made_up(60, 0.0, seed, slope=0.6) for seed in range(4)}
    assert fitted([SURVIVAL], survival_sums(many)).tasks["survival"]["event"].slope == 0.6
    assert fitted([SURVIVAL], survival_sums(few)).tasks["survival"]["event"].slope == 1.0


def test_a_slope_needs_a_hundred_events_however_clear_it_is() -> None:
    slopes = {}
    for events in (24.0, 25.0):
        site = {
            "patients": np.array([100.0]),
            "least": np.array([5.0]),
            "events": np.array([events]),
            "expected": np.full(5, events),
            "evidence": np.array([0.0, 3.0, 1.0, 0.0, -1.0]),
        }
        sites = {f"hospital {number}": named("survival", site) for number in range(4)}
        slopes[events] = fitted([SURVIVAL], sites).tasks["survival"]["event"].slope
    assert slopes == {24.0: 1.0, 25.0: 0.6}


def test_classes_return_to_the_observed_share() -> None:
    rng = np.random.default_rng(0)
    sums, truths, said = {}, {}, {}
    for number, level in enumerate((-0.8, 0.0, 0.5, 1.2)):
        logits = rng.normal(-0.5, 1.2, 3000)
        labels = (rng.random(3000) < expit(logits + level)).astype(np.float64)[:, None]
        share = expit(logits)
        prediction = ClassPrediction(np.stack([1 - share, share], axis=1))
        name = f"hospital {number}"
        sums[name] = named(
            "response", computed(RESPONSE, prediction, labels, np.ones((3000, 1), np.bool_), 5)
        )
        truths[name], said[name] = expit(logits + level).mean(), prediction
    table = fitted([RESPONSE], sums)
    for name, prediction in said.items():
        moved = calibrated(prediction, RESPONSE, table, name)
        assert isinstance(moved, ClassPrediction)
        assert moved.probability[:, 1].mean() == pytest.approx(truths[name], abs=0.02)


def test_a_rare_label_is_refused_and_the_other_is_not() -> None:
    labels = np.zeros((200, 2))
    labels[:80, 0], labels[:10, 1] = 1, 1
    prediction = LabelPrediction(np.full((200, 2), 0.2))
    sums = named("toxicity", computed(TOXICITY, prediction, labels, np.ones((200, 2), np.bool_), 5))
    table = fitted([TOXICITY], {"here": sums})
    made = table.tasks["toxicity"]
    assert made["nausea"].pooled is not None
    assert (made["rash"].pooled, made["rash"].events) == (None, 10)
    moved = calibrated(prediction, TOXICITY, table, "here")
    assert isinstance(moved, LabelPrediction)
    assert moved.probability[0] == pytest.approx([0.4, 0.2], abs=0.01)


def test_numbers_move_by_their_mean_error() -> None:
    rng = np.random.default_rng(1)
    sums = {}
    for number, offset in enumerate((1.0, 1.0, 2.0)):
        prediction = NumberPrediction(rng.uniform(3, 5, 400))
        labels = (prediction.value + offset + rng.normal(0, 0.5, 400))[:, None]
        answer = computed(SCORE, prediction, labels, np.ones((400, 1), np.bool_), 5)
        sums[f"hospital {number}"] = named("score", answer)
    table = fitted([SCORE], sums)
    hospitals = table.tasks["score"]["number"].hospitals
    assert [row.level for row in hospitals.values()] == pytest.approx([1.0, 1.0, 2.0], abs=0.15)
    moved = calibrated(NumberPrediction(np.array([4.0])), SCORE, table, "hospital 0")
    assert isinstance(moved, NumberPrediction)
    assert moved.value[0] == pytest.approx(5.0, abs=0.15)


@pytest.mark.parametrize(
    "changes", [{"patients": 5e-324}, {"patients": 0.4}, {"error": 4001.0}, {"square": 1.0}, {"square": 1e9}]
)
def test_a_hospital_with_impossible_errors_of_numbers_spoils_no_calibration(
    changes: dict[str, float],
) -> None:
    site = {"patients": np.array([400.0]), "error": np.array([-400.0]), "square": np.array([500.0])}
    honest = {f"hospital {number}": named("score", site) for number in range(3)}
    liar = named("score", site | {name: np.array([number]) for name, number in changes.items()})
    assert fitted([SCORE], honest | {"liar": liar}) == fitted([SCORE], honest)
