"""Forecasts with one actionable value replaced are those of that other patient."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch

from client.data.unlabelled import UnlabelledPatients
from client.prediction.change import LOWER_BY, NO_EFFECT, Changes
from client.prediction.forecasts import Forecasts
from client.prediction.patients.changes import VALUES
from client.prediction.patients.predictor import forecasts
from common.agreement.federation import Federation
from common.agreement.modalities import Plausible
from common.patients.batch import PatientBatch
from common.prediction.network import Network, released_network
from common.release.release import read_release
from tests.released import Coordinator


@pytest.fixture
def actionable(federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> Network:
    """A network of which age and sex can be changed, by assumption."""
    clinical, *others = federation.modalities
    ranges = {"age": Plausible(unit="years", low=-3, high=3)}
    clinical = clinical.model_copy(update={"ranges": ranges, "actionable": ("age", "sex")})
    changed = federation.model_copy(update={"modalities": (clinical, *others)})
    coordinator = Coordinator(tmp_path_factory.mktemp("coordinator"), changed)
    return released_network(read_release(coordinator.write(), None))


@pytest.fixture
def patients(make_batch: Callable[..., PatientBatch]) -> UnlabelledPatients:
    batch = make_batch()
    values = {name: part.clone() for name, part in batch.values.items()}
    values["clinical"][:, 1:] = torch.tensor([[0.0, 1.0]])
    seen = {name: torch.ones_like(mask) for name, mask in batch.observed.items()}
    return UnlabelledPatients(tuple("abcdef"), PatientBatch(values, seen, {}, {}), ())


def with_age(patients: UnlabelledPatients, age: float) -> UnlabelledPatients:
    values = {name: part.clone() for name, part in patients.batch.values.items()}
    values["clinical"][:, 0] = age
    return replace(patients, batch=PatientBatch(values, patients.batch.observed, {}, {}))


def test_every_value_gives_the_forecast_of_that_other_patient(
    actionable: Network, patients: UnlabelledPatients
) -> None:
    made: Any = forecasts(actionable, patients, [3.0], "table", explain=True)
    for row, patient in enumerate(made.patients):
        survival, response, toxicity = patient.changes
        assert survival.number == pytest.approx(patient.tasks["survival"].risk["3"], abs=1e-6)
        assert (response.task, toxicity.task) == ("response", "toxicity")
        age, sex = survival.columns
        assert (age.column, age.unit, len(age.values)) == ("age", "years", VALUES)
        assert [float(age.values[0].value), float(age.values[-1].value)] == [-3, 3]
        assert (sex.column, sex.value, [each.value for each in sex.values]) == ("sex", "m", ["f", "m"])
        assert sex.values[1].number == pytest.approx(survival.number, abs=1e-6)
        for place in (0, 7, VALUES - 1):
            other = with_age(patients, float(age.values[place].value))
            expected: Any = forecasts(actionable, other, [3.0], "table").patients[row]
            risk = expected.tasks["survival"].risk["3"]
            assert age.values[place].number == pytest.approx(risk, abs=1e-5)


def test_the_nearest_change_is_the_smallest_one_that_lowers_the_number_enough(
    actionable: Network, patients: UnlabelledPatients
) -> None:
    made: Any = forecasts(actionable, patients, [3.0], "table", explain=True)
    some = 0
    for row, patient in enumerate(made.patients):
        own = float(patients.batch.values["clinical"][row, 0])
        for question in patient.changes:
            age = question.columns[0]
            assert question.is_risk is (question.task != "response")
            if not question.is_risk:
                assert age.nearest is None
                continue
            enough = [v for v in age.values if v.number <= (1 - LOWER_BY) * question.number]
            assert (age.nearest is None) is (not enough)
            if age.nearest is None:
                continue
            some += 1
            assert age.nearest == min(enough, key=lambda value: abs(float(value.value) - own))
    assert some


def test_what_was_not_measured_or_not_asked_is_not_changed(
    actionable: Network, patients: UnlabelledPatients
) -> None:
    assert all(not patient.changes for patient in forecasts(actionable, patients, [], "table").patients)
    observed = {name: mask.clone() for name, mask in patients.batch.observed.items()}
    observed["clinical"][0, 0] = False
    observed["clinical"][1, 1:] = False
    batch = PatientBatch(patients.batch.values, observed, {}, {})
    made = forecasts(actionable, replace(patients, batch=batch), [3.0], "table", explain=True)
    changed = [[column.column for column in patient.changes[0].columns] for patient in made.patients]
    assert changed == [["sex"], ["age"], *[["age", "sex"]] * 4]
    nothing = replace(patients, batch=PatientBatch(patients.batch.values, observed, {}, {}))
    unmarked: Any = actionable.federation
    clinical, *others = unmarked.modalities
    plain = unmarked.model_copy(
        update={"modalities": (clinical.model_copy(update={"actionable": ()}), *others)}
    )
    made = forecasts(replace(actionable, federation=plain), nothing, [3.0], "table", explain=True)
    assert all(patient.explanations and not patient.changes for patient in made.patients)


def test_the_lines_say_that_it_is_no_effect_of_a_treatment(
    actionable: Network, patients: UnlabelledPatients
) -> None:
    made = forecasts(actionable, patients, [3.0], "table", explain=True)
    assert Forecasts.model_validate_json(made.model_dump_json()) == made
    for patient in made.patients:
        lines = patient.lines()
        assert lines[-1].strip() == NO_EFFECT
        assert all(isinstance(change, Changes) and change.lines() for change in patient.changes)
