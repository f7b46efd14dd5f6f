"""Activity of the network at its first weights, for whatever seed, and of models that offer no parts."""

from collections.abc import Iterable
from pathlib import Path

import pytest
import torch

from common.agreement.federation import FILE_NAME, Federation, load
from common.families.activity import activity_of, activity_on_made_up_units
from common.families.registry import family_of
from common.models.activity import FEWEST_ACTIVE, Activity, Measure, shortfalls
from common.models.graphs import Prior
from common.models.hierarchical import HierarchicalMultimodalGNN
from common.patients.preprocessing import Preprocessing
from simulations.cohorts.folders import find_sites
from simulations.cohorts.sources import default_data, write_cohort
from simulations.cohorts.synthetic import write_synthetic
from simulations.families.patients.hospitals import Hospitals
from tests.common.models.plain_mlp import PlainMLP, PlainMLPConfig

DATA = default_data()


def at_start(cohort: Path, seeds: Iterable[int]) -> list[Activity]:
    """Activity at the first weights by seed, for training patients of all hospitals."""
    federation = load(cohort / FILE_NAME)
    family = family_of(federation)
    prior = family.public(federation, cohort)
    sites = find_sites(cohort)
    patients = Hospitals(sites, federation, (0,), held_out_alone=True).training_sample(0)
    patients = patients.select(torch.linspace(0, len(patients) - 1, min(50, len(patients))).long())
    statistics = family.statistics(patients, federation, 1)
    prepared = family.combine([statistics], federation)
    measured = []
    for seed in seeds:
        model = family.model(federation, prior, seed)
        activity = activity_of(family, model, family.apply(patients, prepared), federation, prepared)
        assert activity is not None
        measured.append(activity)
    return measured


def assert_alive(activities: list[Activity]) -> None:
    """No branch starts with half of its units dead, and every part can learn."""
    for activity in activities:
        active = {name: branch.active for name, branch in activity.branches.items()}
        assert all(share is not None and share >= FEWEST_ACTIVE for share in active.values()), active
        assert not [below for below in shortfalls(activity) if below.measure is Measure.GRADIENT]
        assert set(activity.network.values()) == {None}  # heads and scores are 0


def test_no_branch_starts_below_half_alive_whatever_the_seed(tmp_path: Path) -> None:
    write_synthetic(
        tmp_path, sites=2, patients=40, genes=300, proteins=60, clinical=6, imaging=40, lacking=0, seed=1
    )
    assert_alive(at_start(tmp_path, range(16)))


@pytest.mark.skipif(DATA is None, reason="public data are not here: set CONSILIUM_DATA to their folder")
def test_no_branch_of_a_published_cohort_starts_below_half_alive(tmp_path: Path) -> None:
    write_cohort("tcga-brca", DATA, tmp_path)
    assert_alive(at_start(tmp_path, range(4)))


def test_made_up_patients_show_a_dead_branch(
    federation: Federation, prior: Prior, preprocessing: Preprocessing
) -> None:
    family = family_of(federation)
    model = HierarchicalMultimodalGNN(federation, prior)
    packed = family.packed(preprocessing)
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    alive = activity_on_made_up_units(family, model, weights, federation, packed)
    assert alive is not None
    assert not shortfalls(alive)
    weights["branches.rna.squeeze.weight"].zero_()
    dead = activity_on_made_up_units(family, model, weights, federation, packed)
    assert dead is not None
    assert [(below.part, below.measure) for below in shortfalls(dead)] == [("rna", Measure.ACTIVE)]


def test_a_model_without_parts_has_no_activity(
    federation: Federation, prior: Prior, preprocessing: Preprocessing
) -> None:
    family = family_of(federation)
    config = federation.model_copy(update={"model": PlainMLPConfig()})
    model = PlainMLP(config, prior)
    assert model.parts() is None
    patients = family.probe(federation, 4)
    assert activity_of(family, model, patients, config, preprocessing) is None


def test_one_patient_is_too_few_to_compare(
    federation: Federation, prior: Prior, preprocessing: Preprocessing
) -> None:
    family = family_of(federation)
    model = HierarchicalMultimodalGNN(federation, prior)
    alone = family.probe(federation, 4).select(torch.tensor([0]))
    assert activity_of(family, model, alone, federation, preprocessing) is None
