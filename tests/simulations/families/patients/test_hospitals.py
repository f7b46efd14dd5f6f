"""Patients of the hospitals that an experiment keeps."""

from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from common.agreement.federation import FILE_NAME, load
from common.errors import InvalidContentError
from simulations.cohorts.folders import find_sites
from simulations.families.patients.hospitals import Hospitals

SmallCohort = Callable[..., Path]


def read(cohort: Path, folds: tuple[int, ...], held_out_alone: bool) -> Hospitals:
    return Hospitals(find_sites(cohort), load(cohort / FILE_NAME), folds, held_out_alone)


@pytest.mark.parametrize("folds", [(1,), (0, 3)])
def test_to_judge_the_federated_model_alone_held_out_patients_are_enough(
    small_cohort: SmallCohort, folds: tuple[int, ...]
) -> None:
    cohort = small_cohort()
    everyone, few = read(cohort, folds, False), read(cohort, folds, True)
    assert few.names == everyone.names == ("hospital 1", "hospital 2", "hospital 3")
    assert few.described == everyone.described
    assert sum(each.patients for each in few.described.values()) == 90
    assert few.training_sizes(folds) == everyone.training_sizes(folds)
    assert set(few.held_out_in.tolist()) == set(folds)
    assert len(few.everyone) == int(torch.isin(everyone.held_out_in, torch.tensor(folds)).sum()) < 40
    for fold in folds:
        mine, theirs = few.split(fold)[1], everyone.split(fold)[1]
        assert all(torch.equal(mine.values[name], theirs.values[name]) for name in mine.values)
        assert all(torch.equal(mine.labels[name], theirs.labels[name]) for name in mine.labels)
        here = [group for group, held in zip(few.groups, few.held_out_in, strict=True) if held == fold]
        there = everyone.groups[(everyone.held_out_in == fold).numpy()].tolist()
        assert here == there
        training = everyone.split(fold)[0]
        for task in training.labels:
            labels, labelled = few.training_labels(task, fold)
            assert torch.equal(labels, training.labels[task])
            assert torch.equal(labelled, training.labelled[task])


def test_a_sample_of_training_patients_comes_from_all_hospitals(
    small_cohort: SmallCohort, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = small_cohort()
    everyone, few = read(cohort, (1,), False), read(cohort, (1,), True)
    sample, training = few.training_sample(1), everyone.split(1)[0]
    assert torch.equal(
        sample.values["clinical"], training.values["clinical"]
    )  # 90 patients: nobody is left out
    monkeypatch.setattr("simulations.families.patients.hospitals.SAMPLED", 30)
    assert 15 < len(read(cohort, (1,), True).training_sample(1)) < 30


def test_an_event_that_nobody_has_is_told_with_its_column_and_one_hospital_without_is_not(
    small_cohort: SmallCohort,
) -> None:
    cohort = small_cohort()
    first, *others = find_sites(cohort)
    for site in (first, *others):
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
        outcomes.loc[outcomes["died"].notna(), "died"] = "0"
        outcomes.to_csv(site / "outcomes.csv", index=False)
        if site == first:
            assert len(read(cohort, (0,), False).names) == 3
    with pytest.raises(InvalidContentError) as refused:
        read(cohort, (0,), False)
    assert "no patient of any hospital" in refused.value.what
    assert "died" in refused.value.remedy
    assert "minimum_count" not in refused.value.remedy
