"""Sums of a hospital are within their limits, and about nobody alone."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from common.assessment.part import Arrays
from common.patients.batch import PatientBatch
from common.structure import site_sums
from common.structure.arrays import behind_name, products_name
from common.structure.part import PART
from common.structure.plan import FEWEST_PATIENTS
from tests.common.structure import made

FEDERATION = made.federation()


def _computed(batch: PatientBatch, asked: Arrays, number: int) -> dict[str, Any]:
    return site_sums.computed(FEDERATION, batch, made.prepared(), made.LEAST, asked, number)


def test_sums_have_the_shapes_and_limits_that_the_gate_checks() -> None:
    asked: Arrays = {}
    for number in range(PART.questions(FEDERATION)):
        assert {name: array.shape for name, array in asked.items()} == dict(PART.asked(FEDERATION, number))
        sites = made.answers(made.hospitals(), asked, number)
        limits = PART.sums(FEDERATION, number)
        for site in sites.values():
            assert site.sums.keys() == limits.keys()
            for name, limit in limits.items():
                sums = site.sums[name]
                assert sums.shape == limit.shape
                assert np.isfinite(sums).all()
                room = 1e-6 * site.patients * max(abs(limit.low), abs(limit.high))
                assert (sums >= min(0.0, site.patients * limit.low) - room).all()
                assert (sums <= site.patients * limit.high + room).all()
        asked = PART.next(FEDERATION, sites, number) if number + 1 < PART.questions(FEDERATION) else {}


def test_products_add_up_to_those_of_centred_values() -> None:
    batch = made.patients(90, 4)
    values = batch.values["rna"].double().numpy()
    centred = values - values.mean(0)
    start = site_sums.start_signs(FEDERATION, FEDERATION.modality("rna"))
    found = _computed(batch, {}, 0)
    assert found[products_name("rna")] == pytest.approx(centred.T @ (centred @ start))
    assert found[behind_name("rna")] == [90.0]


def test_few_patients_give_no_product() -> None:
    few = _computed(made.patients(FEWEST_PATIENTS - 1, 4, lacking=0.0), {}, 0)
    enough = _computed(made.patients(FEWEST_PATIENTS, 4, lacking=0.0), {}, 0)
    for name in ("rna", "copies", "protein"):
        assert not few[products_name(name)].any()
        assert not few[behind_name(name)].any()
        assert enough[products_name(name)].any()


def test_a_canary_in_a_rare_column_never_leaves() -> None:
    """A column in which fewer patients than the minimum count differ from 0 has no sum, and is in nobody's product."""
    batch = made.patients(90, 4, lacking=0.0)
    copies, rna = batch.values["copies"].clone(), batch.values["rna"].clone()
    copies[:, 0], rna[:, 0] = 0.0, 0.0
    without = replace(batch, values={**batch.values, "copies": copies.clone(), "rna": rna.clone()})
    copies[: made.LEAST - 1, 0], rna[: made.LEAST - 1, 0] = 1.0, 3.0
    canaries = replace(batch, values={**batch.values, "copies": copies, "rna": rna})
    first, second = _computed(canaries, {}, 0), _computed(without, {}, 0)
    for name in first:
        if name.startswith("pair:"):
            assert not first[name][:, 0].any()
            assert (first[name][:, 1:] == second[name][:, 1:]).all()
        elif name.startswith("columns:"):
            assert not first[name][:, 0].any()
        else:
            assert first[name] == pytest.approx(second[name])


def test_figures_of_few_patients_are_nothing() -> None:
    sites = made.answers(made.hospitals(), {}, 0)
    asked = PART.next(FEDERATION, sites, 0)
    few = made.patients(8, 5, lacking=0.0)
    few.observed["protein"][made.LEAST - 1 :] = False
    few = replace(few, values={**few.values, "protein": few.values["protein"] * few.observed["protein"]})
    sums = _computed(few, asked, 1)
    assert not sums["figure:agreement:rna:protein"].any()
    assert not sums["figure:structure:protein"].any()
    assert sums["figure:structure:rna"][0] == 8
    nobody = _computed(few.select(torch.zeros(8, dtype=torch.bool)), asked, 1)
    assert not any(array.any() for array in nobody.values())
