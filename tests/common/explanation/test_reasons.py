"""Reasons are the largest contributions, in the words of the federation file."""

import torch

from common.agreement.federation import Federation
from common.agreement.modalities import Modality, Plausible
from common.explanation.path import Attribution
from common.explanation.reasons import value_reasons
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing


def attribution(batch: PatientBatch) -> Attribution:
    """Contribution of every value: the value, half of it linear."""
    values = {name: part[0].double() for name, part in batch.values.items()}
    return Attribution(values, {name: part / 2 for name, part in values.items()}, 0.0, 0.0, 32)


def test_the_five_largest_on_either_side_are_listed_and_the_others_summed_up(
    federation: Federation, preprocessing: Preprocessing, whole: PatientBatch
) -> None:
    patient = whole.select(torch.tensor([0]))
    higher, lower, rest = value_reasons(federation, preprocessing, patient, attribution(patient))
    assert [len(higher), len(lower)] == [5, 5]
    assert [r.contribution for r in higher] == sorted((r.contribution for r in higher), reverse=True)
    assert [r.contribution for r in lower] == sorted(r.contribution for r in lower)
    everything = sum(float(part.sum()) for part in patient.values.values())
    listed = sum(r.contribution for r in (*higher, *lower))
    assert abs(listed + rest - everything) < 1e-5
    assert all(r.linear == r.contribution / 2 for r in higher)


def test_a_clamped_value_is_flagged_and_values_have_their_unit(
    federation: Federation, preprocessing: Preprocessing, whole: PatientBatch
) -> None:
    clinical, rna, _, imaging = federation.modalities
    events = {"scale": "none", "plausible": Plausible(low=0, high=1)}
    mutation = Modality.model_validate(
        {"name": "protein", "node": "gene", "columns": ("P1", "P2", "P3")} | events
    )
    modalities = (
        clinical.model_copy(update={"ranges": {"age": Plausible(unit="years")}}),
        rna,
        mutation,
        imaging.model_copy(update={"transform": "signed_log"}),
    )
    federation = federation.model_copy(update={"modalities": modalities})
    patient = whole.select(torch.tensor([0]))
    patient.values["rna"].zero_()
    patient.values["clinical"][0, 0] = 55.0
    patient.values["protein"][:] = torch.tensor([[7.0, 0.0, -7.0]])
    patient.values["imaging"][:] = torch.tensor([[8.0, -3.0, -9.0, 4.0]])
    patient.observed["imaging"][0, 1] = False
    higher, lower, _ = value_reasons(federation, preprocessing, patient, attribution(patient))
    found = {reason.column: reason for reason in (*higher, *lower)}
    assert (found["age"].value, found["age"].deviations, found["age"].clamped) == ("55 years", 8.0, True)
    assert (found["P1"].value, found["P1"].deviations, found["P1"].clamped) == ("yes", None, False)
    assert (found["i1"].value, found["i1"].clamped) == ("", True)
    assert (found["i3"].deviations, found["i3"].clamped) == (-8.0, True)
    assert not found["i4"].clamped
    assert "i2" not in found


def test_a_column_that_the_model_does_not_use_is_no_reason(
    federation: Federation, preprocessing: Preprocessing, whole: PatientBatch
) -> None:
    preprocessing.spread["clinical"][0] = torch.inf
    patient = whole.select(torch.tensor([0]))
    patient.values["clinical"][0, 0] = 55.0
    higher, lower, _ = value_reasons(federation, preprocessing, patient, attribution(patient))
    assert "age" not in {reason.column for reason in (*higher, *lower)}
