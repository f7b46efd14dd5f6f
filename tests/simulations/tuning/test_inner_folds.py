from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from client.families.played import read_played
from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import OptionError
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.preparing import make_plan
from simulations.tuning.inner_folds import InnerFolds, draw_inner_folds

SmallCohort = Callable[..., Path]


def drawn(
    cohort: Path, work: Path, fold: int | None = None, count: int = 3
) -> tuple[InnerFolds, list[Cohort]]:
    plan = make_plan(open_cohort(cohort), ExperimentOptions(), work / "outer")
    inner = draw_inner_folds(plan, fold, count, work)
    agreement = inner.agreement(plan.federation)
    assert isinstance(agreement, Federation)
    cohorts = [read_played(site, agreement) for site in inner.sites]
    return inner, [hospital for hospital in cohorts if isinstance(hospital, Cohort)]


def test_every_patient_outside_the_closed_fold_is_in_one_inner_fold(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    inner, cohorts = drawn(cohort, tmp_path / "work", fold=1)
    assert (inner.closed, inner.folds) == (1, (0, 1, 2))
    for site, copied in zip(find_sites(cohort), cohorts, strict=True):
        original = read_cohort(site, load(cohort / FILE_NAME))
        kept = original.fold != 1
        assert 0 < int(kept.sum()) < len(original.batch)
        for part in ("values", "observed", "labels", "labelled"):
            ours, theirs = getattr(copied.batch, part), getattr(original.batch, part)
            assert all(torch.equal(ours[name], theirs[name][kept]) for name in theirs)
        died = copied.batch.labels["survival"][:, 1]
        sizes = torch.bincount(copied.fold, minlength=3)
        events = torch.stack([died[copied.fold == fold].sum() for fold in range(3)])
        assert int(sizes.max() - sizes.min()) <= 2
        assert float(events.max() - events.min()) <= 2


def test_the_folds_do_not_depend_on_the_closed_patients(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    before, unchanged = drawn(cohort, tmp_path / "before")
    for site in find_sites(cohort):
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
        outcomes.loc[outcomes["fold"] == "0", "died"] = "1"
        outcomes.to_csv(site / "outcomes.csv", index=False)
    after, cohorts = drawn(cohort, tmp_path / "after")
    assert after.digest != before.digest, "the tables have changed"
    for one, other in zip(unchanged, cohorts, strict=True):
        assert torch.equal(one.fold, other.fold)
        assert torch.equal(one.batch.labels["survival"], other.batch.labels["survival"])
    again, _ = drawn(cohort, tmp_path / "again")
    another, _ = drawn(cohort, tmp_path / "another", fold=2)
    assert again.digest == after.digest != another.digest


def test_a_site_that_the_fold_closes_whole_has_no_part_and_a_small_one_has(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    for site, closed in (("hospital-1", 30), ("hospital-3", 24)):
        outcomes = pd.read_csv(cohort / site / "outcomes.csv", dtype=str)
        outcomes["fold"] = ["0"] * closed + ["1"] * (30 - closed)
        outcomes.to_csv(cohort / site / "outcomes.csv", index=False)
    inner, cohorts = drawn(cohort, tmp_path / "work", count=2)
    assert [hospital.site for hospital in cohorts] == ["hospital 2", "hospital 3"]
    assert len(cohorts[1].batch) == 6
    agreement = inner.agreement(load(cohort / FILE_NAME))
    assert [participant.name for participant in agreement.participants] == ["hospital 2", "hospital 3"]


def test_folds_are_drawn_where_none_are_published(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    for site in find_sites(cohort):
        text = (site / "site.toml").read_text()
        (site / "site.toml").write_text(text.replace('fold = "fold"\n', ""))
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str).drop(columns="fold")
        outcomes.to_csv(site / "outcomes.csv", index=False)
    _, cohorts = drawn(cohort, tmp_path / "work")
    assert all(22 <= len(hospital.batch) <= 26 for hospital in cohorts)
    assert sum(len(hospital.batch) for hospital in cohorts) == 72


def test_a_fold_that_there_is_not_is_refused(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    with pytest.raises(OptionError):
        drawn(cohort, tmp_path / "work", fold=9)
    for site in find_sites(cohort):
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
        outcomes.assign(fold="0").to_csv(site / "outcomes.csv", index=False)
    with pytest.raises(OptionError):
        drawn(cohort, tmp_path / "other")
