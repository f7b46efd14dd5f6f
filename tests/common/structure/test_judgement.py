"""Planted faults are found, ordinary patients are left alone, and no sentence has a value."""

import re
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch

from common.patients.batch import PatientBatch
from common.structure.answer import Answer
from common.structure.content import Structure
from common.structure.judgement import judged
from common.structure.limits import Check
from tests.common.structure import made

FEDERATION = made.federation()
NEW = made.patients(200, 99)


@pytest.fixture(scope="module")
def structure() -> Structure:
    return made.structure()


def test_ordinary_patients_are_fine(structure: Structure) -> None:
    judgement = judged(FEDERATION, NEW, structure)
    assert not judgement.table
    assert np.mean([judgement.answer(row) is not Answer.FINE for row in range(len(NEW))]) <= 0.02
    assert judgement.distance.shape == (len(NEW),)
    assert np.median(judgement.distance) < 0.6


def _turned(batch: PatientBatch) -> PatientBatch:
    return made.changed(batch, "rna", -batch.values["rna"])


@pytest.mark.parametrize(
    ("spoil", "modality", "check", "least"),
    [
        (lambda batch: made.reordered(batch, "rna"), "rna", Check.STRUCTURE, 0.98),
        (lambda batch: made.reordered(batch, "copies"), "copies", Check.STRUCTURE, 0.9),
        (_turned, "protein", Check.AGREEMENT, 0.98),
        (lambda batch: made.of_neighbours(batch, "protein"), "protein", Check.AGREEMENT, 0.98),
        (lambda batch: made.changed(batch, "rna", 6 * batch.values["rna"]), "rna", Check.SIZE, 0.98),
    ],
)
def test_spoilt_tables_are_found_and_named(
    structure: Structure,
    spoil: Callable[[PatientBatch], PatientBatch],
    modality: str,
    check: Check,
    least: float,
) -> None:
    spoilt = spoil(NEW)
    judgement = judged(FEDERATION, spoilt, structure)
    there = spoilt.present(modality).numpy()
    found = [
        any(
            each.check is check and modality in each.modalities
            for each in patient
            if each not in judgement.table
        )
        for patient in judgement.patients
    ]
    assert np.mean(np.array(found)[there]) >= least
    assert any(finding.check is check and finding.answer is Answer.NONE for finding in judgement.table)
    sentences = {each.sentence for patient in judgement.patients for each in patient}
    assert all(modality in each.sentence for each in judgement.table if each.check is check)
    plain = {re.sub(r"\d+ patients together", "", sentence) for sentence in sentences}
    assert not any(character.isdigit() for sentence in plain for character in sentence)


def test_turned_signs_and_other_patients_are_told_apart(structure: Structure) -> None:
    turned = judged(FEDERATION, _turned(NEW), structure).table[0].sentence
    other = judged(FEDERATION, made.of_neighbours(NEW, "protein"), structure).table[0].sentence
    assert "sign" in turned
    assert "same patient" in other


def test_a_table_is_judged_together_from_ten_patients_on(structure: Structure) -> None:
    spoilt = made.reordered(NEW, "rna")
    few = spoilt.select(rows(9))
    assert not judged(FEDERATION, few, structure).table
    judgement = judged(FEDERATION, spoilt.select(rows(10)), structure)
    assert ("rna",) in [finding.modalities for finding in judgement.table]
    assert all(judgement.answer(row) is Answer.NONE for row in range(10))


def rows(number: int) -> torch.Tensor:
    return torch.arange(number)


def test_one_spoilt_patient_does_not_condemn_the_table(structure: Structure) -> None:
    values = NEW.values["rna"].clone()
    values[0] = made.reordered(NEW, "rna").values["rna"][0]
    judgement = judged(FEDERATION, made.changed(NEW, "rna", values), structure)
    assert judgement.answer(0) is Answer.NONE
    assert not judgement.table


def test_a_table_with_gaps_is_looked_at(structure: Structure) -> None:
    gaps = NEW.observed["rna"].clone()
    gaps[0, 30:] = False
    values = {**NEW.values, "rna": NEW.values["rna"] * gaps}
    judgement = judged(
        FEDERATION, replace(NEW, values=values, observed={**NEW.observed, "rna": gaps}), structure
    )
    assert judgement.answer(0) is Answer.LOOK
    assert [finding.check for finding in judgement.patients[0]] == [Check.OBSERVED]


def test_extreme_values_of_a_narrow_table_are_found_without_a_structure() -> None:
    values = NEW.values["clinical"].clone()
    values[0, 0] = 8.0
    judgement = judged(FEDERATION, made.changed(NEW, "clinical", values), None)
    assert judgement.answer(0) is Answer.NONE  # its one number is not to be believed
    assert all(judgement.answer(row) is Answer.FINE for row in range(1, len(NEW)))


def test_a_table_in_a_larger_unit_is_found_by_its_size_too(structure: Structure) -> None:
    small = judged(FEDERATION, made.changed(NEW, "rna", NEW.values["rna"] / 6), structure)
    there = NEW.present("rna").numpy()
    found = [any(each.check is Check.SIZE for each in patient) for patient in small.patients]
    assert np.mean(np.array(found)[there]) > 0.98
    assert any(each.check is Check.SIZE and each.answer is Answer.NONE for each in small.table)
