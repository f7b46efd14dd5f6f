"""Tables that are unlike training patients' are found before a number is shown, and nobody is named by it."""

from collections.abc import Sequence
from dataclasses import replace

import pytest
import torch
from safetensors.numpy import save as arrays_content

from client.data.unlabelled import UnlabelledPatients
from client.prediction.forecasts import Forecasts
from client.prediction.patients.checks import checked
from client.prediction.patients.predictor import forecasts
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing, pack_preprocessing
from common.prediction.network import Network, released_network
from common.release.members import PREPROCESSING, STRUCTURE
from common.release.release import read_release
from common.structure.answer import Answer
from tests.common.structure import made
from tests.released import Coordinator

CANARY = "CANARY-7319"


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Network:
    """Network of a release that has a structure."""
    coordinator = Coordinator(tmp_path_factory.mktemp("coordinator"), made.federation())
    plain, structure = made.prepared(), made.learnt()
    assert structure is not None
    prepared = Preprocessing(plain.center, plain.spread, {"survival": torch.tensor([12.0, 24.0, 36.0, 60.0])})
    members = coordinator.members() | {
        STRUCTURE: structure,
        PREPROCESSING: arrays_content(dict(pack_preprocessing(prepared))),
    }
    path = coordinator.folder / "test-1.zip"
    path.write_bytes(coordinator.made(members=members)[1])
    return released_network(read_release(path, coordinator.key.public_key()))


def _forecasts(network: Network, batch: PatientBatch, explain: bool = False) -> Forecasts:
    identifiers = tuple(f"{CANARY}-{row}" for row in range(len(batch)))
    return forecasts(network, UnlabelledPatients(identifiers, batch, ()), [24.0], "table", explain)


def _mixed(rows: Sequence[int], number: int) -> PatientBatch:
    """Patients of whom some have their RNA in another order."""
    batch = made.patients(number, 50, lacking=0.0)
    values = batch.values["rna"].clone()
    values[list(rows)] = made.reordered(batch, "rna").values["rna"][list(rows)]
    return made.changed(batch, "rna", values)


def test_a_patient_with_columns_in_another_order_is_not_predicted_and_others_are(network: Network) -> None:
    result = _forecasts(network, _mixed([1], 4))
    assert [patient.answer for patient in result.patients].count(Answer.NONE) == 1
    spoilt, fine = result.patients[1], result.patients[0]
    assert (spoilt.answer, spoilt.tasks, spoilt.explanations) == (Answer.NONE, {}, ())
    assert (fine.answer, fine.warnings) == (Answer.FINE, ())
    assert set(fine.tasks) == {"survival"}
    assert any("rna" in warning for warning in spoilt.warnings)
    assert result.checked
    assert (result.unpredicted, result.exit_code) == (1, 3)
    assert result.lines()[0].startswith("NO PREDICTION for 1 of 4")
    assert not any(CANARY in warning for patient in result.patients for warning in patient.warnings)
    assert Forecasts.model_validate_json(result.model_dump_json()) == result


def test_a_single_patient_without_prediction_ends_a_command_with_2(network: Network) -> None:
    result = _forecasts(network, _mixed([0], 1), explain=True)
    assert (result.unpredicted, result.exit_code) == (1, 2)
    assert _forecasts(network, _mixed([], 1)).exit_code == 0
    page = result.html()
    assert "No prediction" in page
    assert all(warning in page for warning in result.patients[0].warnings)


def test_a_table_of_other_patients_is_found_over_all_of_them(network: Network) -> None:
    batch = made.of_neighbours(made.patients(12, 50, lacking=0.0), "protein")
    result = _forecasts(network, batch)
    assert result.exit_code == 2
    assert any("protein" in warning and "together" in warning for warning in result.warnings)


def test_predictions_of_ordinary_patients_are_those_without_checks(network: Network) -> None:
    batch = made.patients(5, 51)
    with_checks, without = _forecasts(network, batch), _forecasts(replace(network, structure=None), batch)
    assert (with_checks.checked, without.checked) == (True, False)
    assert [patient.tasks for patient in with_checks.patients] == [
        patient.tasks for patient in without.patients
    ]


def test_a_unit_that_no_range_refuses_is_found_without_a_structure(network: Network) -> None:
    batch = made.patients(5, 51)
    clinical = batch.values["clinical"].clone()
    clinical[2, 0] = 55.0  # an age in months, on the scale of standard deviations
    judgement = checked(replace(network, structure=None), made.changed(batch, "clinical", clinical))
    assert [judgement.answer(row) is Answer.NONE for row in range(5)] == [False, False, True, False, False]
