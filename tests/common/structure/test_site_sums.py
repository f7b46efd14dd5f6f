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
        limits = PART.asked(FEDERATION, number)
        assert limits.keys() == asked.keys()
        assert all(limits[name].fits(array) for name, array in asked.items())
        sites = made.answers(made.hospitals(), asked, number)
        answered = PART.sums(FEDERATION, number)
        for site in sites.values():
            assert site.sums.keys() == answered.keys()
            for name, limit in answered.items():
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
    few = made.patients(20, 5, lacking=0.0)
    few.observed["protein"][made.LEAST - 1 :] = False
    few = replace(few, values={**few.values, "protein": few.values["protein"] * few.observed["protein"]})
    sums = _computed(few, asked, 1)
    assert not sums["figure:agreement:rna:protein"].any()
    assert not sums["figure:structure:protein"].any()
    assert sums["figure:structure:rna"][0] == 20
    nobody = _computed(few.select(torch.zeros(20, dtype=torch.bool)), asked, 1)
    assert not any(array.any() for array in nobody.values())


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize("patients", [1, made.LEAST - 1])
def test_columns_that_differ_in_a_patient_do_not_give_its_values_away(patients: int, turned: bool) -> None:
    """With two such columns, the difference of their products is that patient's row times the signs."""
    batch = made.patients(90, 4, lacking=0.0)
    copies = batch.values["copies"].clone()
    copies[:, 1] = copies[:, 0]
    copies[:patients, 1] = torch.where(copies[:patients, 0] == 0, 1.0, 0.0)
    if turned:
        copies[:, 1] = -copies[:, 1]
    crafted = made.changed(batch, "copies", copies)
    products = _computed(crafted, {}, 0)[products_name("copies")]
    assert products[0].any()
    assert products[1] == pytest.approx(-products[0] if turned else products[0])


def test_two_levels_of_which_few_patients_have_both_have_no_sum() -> None:
    batch = made.patients(90, 4, lacking=0.0)
    rna, protein = batch.values["rna"].clone(), batch.values["protein"].clone()
    rna[:, 0], protein[:, 0] = 0.0, 0.0
    rna[:20, 0], protein[19:40, 0] = 1.0, 1.0
    crafted = made.changed(made.changed(batch, "rna", rna), "protein", protein)
    assert not _computed(crafted, {}, 0)["pair:rna:protein"][:, 0].any()
    protein[10:40, 0] = 1.0
    crafted = made.changed(crafted, "protein", protein)
    assert _computed(crafted, {}, 0)["pair:rna:protein"][:, 0].any()


def test_few_patients_without_a_figure_or_far_from_all_others_are_not_seen() -> None:
    draw = np.random.default_rng(0)
    figure = draw.uniform(0.3, 0.6, 40)
    some = np.where(np.arange(40) < 3, np.nan, figure)
    sums = site_sums._moments(some, None, made.LEAST)
    assert sums[0] == 40
    assert sums[1] == pytest.approx(40 * np.nanmean(some))
    assert site_sums._moments(np.where(np.arange(40) < 8, np.nan, figure), None, made.LEAST)[0] == 32
    for step in (0.0, 1e-9, 0.01):
        counting = np.where(np.arange(40) < 4, 0.95, 0.025 + step * draw.random(40))
        assert not site_sums._moments(counting, None, made.LEAST).any()
