from collections.abc import Callable

import pytest
import torch

from common.agreement.federation import Federation
from common.patients.batch import PatientBatch
from simulations.benchmarks.field.perturbations import (
    perturbations,
    with_missing,
    with_noise,
    without_modality,
)

MakeBatch = Callable[..., PatientBatch]


def test_noise_is_in_deviations_of_a_column_and_on_observed_values_alone(make_batch: MakeBatch) -> None:
    patients = make_batch(2000)
    patients.values["rna"][:, 0] *= 10
    noisy = with_noise(0.5)(patients, 0)
    for name, observed in patients.observed.items():
        added = noisy.values[name] - patients.values[name]
        assert not added[~observed].any()
        assert noisy.observed[name] is observed
    added = (noisy.values["rna"] - patients.values["rna"])[patients.observed["rna"][:, 0], 0]
    assert added.std().item() == pytest.approx(5, rel=0.15)
    assert torch.equal(noisy.values["rna"], with_noise(0.5)(patients, 0).values["rna"])
    assert not torch.equal(noisy.values["rna"], with_noise(0.5)(patients, 1).values["rna"])


def test_missing_values_are_the_share_of_those_observed(make_batch: MakeBatch) -> None:
    patients = make_batch(2000)
    fewer = with_missing(0.3)(patients, 0)
    before, after = patients.observed["rna"], fewer.observed["rna"]
    assert not (after & ~before).any()
    assert (after.sum() / before.sum()).item() == pytest.approx(0.7, abs=0.02)
    assert not fewer.values["rna"][~after].any()


def test_a_missing_modality_leaves_the_others(make_batch: MakeBatch) -> None:
    patients = make_batch()
    without = without_modality("rna")(patients, 0)
    assert not without.present("rna").any()
    assert torch.equal(without.values["protein"], patients.values["protein"])


def test_the_first_perturbation_is_none(federation: Federation, make_batch: MakeBatch) -> None:
    listed = perturbations(federation)
    patients = make_batch()
    assert listed[0].apply(patients, 0) is patients
    gone = [change.level for change in listed if change.kind == "missing modality"]
    assert gone == [modality.name for modality in federation.modalities]
    single = federation.model_copy(update={"modalities": federation.modalities[:1]})
    assert not [change for change in perturbations(single) if change.kind == "missing modality"]
