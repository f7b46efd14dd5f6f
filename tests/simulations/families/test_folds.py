from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from client.families.played import read_played
from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import InputError, InvalidContentError, MissingFileError, UnreadableFileError
from simulations.cohorts.folders import find_sites
from simulations.families.folds import with_folds, without_fold
from simulations.families.patients.study import PatientStudy

SmallCohort = Callable[..., Path]


def without_folds(cohort: Path) -> None:
    for site in find_sites(cohort):
        text = (site / "site.toml").read_text()
        (site / "site.toml").write_text(text.replace('fold = "fold"\n', ""))
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str).drop(columns="fold")
        outcomes.to_csv(site / "outcomes.csv", index=False)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def played(site: Path, federation: Federation) -> Cohort:
    cohort = read_played(site, federation)
    assert isinstance(cohort, Cohort)
    return cohort


def drawn(cohort: Path, out: Path, count: int = 5, seed: int = 0) -> list[Cohort]:
    federation = load(cohort / FILE_NAME)
    sites, folds = with_folds(PatientStudy(), find_sites(cohort), federation, out, count, seed)
    assert folds == tuple(range(count))
    return [played(site, federation) for site in sites]


def test_published_folds_are_taken_where_they_are(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    sites = find_sites(cohort)
    outcomes = pd.read_csv(sites[0] / "outcomes.csv")
    outcomes.assign(fold=outcomes["fold"] * 10).to_csv(sites[0] / "outcomes.csv", index=False)
    taken = with_folds(PatientStudy(), sites, load(cohort / FILE_NAME), tmp_path / "out", 3, seed=0)
    assert taken == (sites, (0, 1, 2, 3, 4, 10, 20, 30, 40))
    assert not (tmp_path / "out").exists()


def test_folds_at_some_sites_only_are_refused(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    site = cohort / "hospital-1" / "site.toml"
    site.write_text(site.read_text().replace('fold = "fold"\n', ""))
    with pytest.raises(InvalidContentError) as error:
        with_folds(PatientStudy(), find_sites(cohort), load(cohort / FILE_NAME), tmp_path / "out", 3, seed=0)
    assert error.value.where == str(cohort)
    assert not (tmp_path / "out").exists()


def test_made_folds_hold_out_everyone_once_and_spread_sites_and_events(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    without_folds(cohort)
    cohorts = drawn(cohort, tmp_path / "out", count=3)
    for place, hospital in enumerate(cohorts):
        assert hospital.site == f"hospital {place + 1}"
        died = hospital.batch.labels["survival"][:, 1]
        for fold in range(3):
            held = hospital.fold == fold
            assert 8 <= int(held.sum()) <= 12
            assert abs(int(died[held].sum()) - float(died.sum()) / 3) <= 2
    everyone = torch.cat([hospital.fold for hospital in cohorts])
    assert torch.bincount(everyone).tolist() == [30, 30, 30]


def test_made_folds_change_nothing_but_the_fold(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    without_folds(cohort)
    before = contents(cohort)
    federation = load(cohort / FILE_NAME)
    for hospital, site in zip(drawn(cohort, tmp_path / "out"), find_sites(cohort), strict=True):
        original = read_cohort(site, federation)
        assert original.group == hospital.group
        for part in ("values", "observed", "labels", "labelled"):
            mine, theirs = getattr(hospital.batch, part), getattr(original.batch, part)
            assert all(torch.equal(mine[name], theirs[name]) for name in theirs)
    assert contents(cohort) == before


def test_made_folds_follow_the_seed(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    without_folds(cohort)
    one, same, other = (
        torch.cat([hospital.fold for hospital in drawn(cohort, tmp_path / name, seed=seed)])
        for name, seed in (("a", 1), ("b", 1), ("c", 2))
    )
    assert torch.equal(one, same)
    assert not torch.equal(one, other)


def spoil(site: Path, what: str) -> None:
    outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
    if what == "site file":
        (site / "site.toml").write_text("name = ")
    elif what == "no table":
        (site / "outcomes.csv").unlink()
    elif what == "no column":
        outcomes.drop(columns="fold").to_csv(site / "outcomes.csv", index=False)
    elif what == "text":
        outcomes.assign(fold="CANARY-8371").to_csv(site / "outcomes.csv", index=False)


@pytest.mark.parametrize(
    ("what", "kind", "where"),
    [
        ("site file", UnreadableFileError, "site.toml"),
        ("no table", MissingFileError, "outcomes.csv"),
        ("no column", InvalidContentError, "outcomes.csv, column fold"),
        ("text", InvalidContentError, "outcomes.csv, column fold"),
    ],
)
def test_folds_that_cannot_be_read_are_named(
    small_cohort: SmallCohort, tmp_path: Path, what: str, kind: type[InputError], where: str
) -> None:
    cohort = small_cohort()
    spoil(cohort / "hospital-2", what)
    with pytest.raises(kind) as error:
        with_folds(PatientStudy(), find_sites(cohort), load(cohort / FILE_NAME), tmp_path / "out", 5, seed=0)
    assert error.value.where.startswith(str(cohort / "hospital-2" / where))
    assert "CANARY" not in str(error.value)


def test_a_fold_column_that_is_empty_everywhere_is_an_error(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort()
    for site in find_sites(cohort):
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
        outcomes.assign(fold=None).to_csv(site / "outcomes.csv", index=False)
    with pytest.raises(InvalidContentError) as error:
        with_folds(PatientStudy(), find_sites(cohort), load(cohort / FILE_NAME), tmp_path / "out", 5, seed=0)
    assert error.value.where == str(cohort)


@pytest.mark.parametrize("published", [True, False])
def test_without_a_fold_its_units_and_all_folds_are_gone(
    small_cohort: SmallCohort, tmp_path: Path, published: bool
) -> None:
    cohort = small_cohort()
    if not published:
        without_folds(cohort)
    federation, study = load(cohort / FILE_NAME), PatientStudy()
    sites, _ = with_folds(study, find_sites(cohort), federation, tmp_path / "outer", 5, seed=0)
    remaining = without_fold(study, sites, federation, 1, tmp_path / "remaining")
    assert set(remaining[0].iterdir()) == {remaining[0] / "site.toml"}
    again, folds = with_folds(study, remaining, federation, tmp_path / "inner", 3, seed=0)
    assert folds == (0, 1, 2)
    less = without_fold(study, again, federation, 2, tmp_path / "less")
    for before, after, last in zip(sites, again, less, strict=True):
        whole, part, rest = (played(site, federation) for site in (before, after, last))
        kept = (whole.fold != 1).nonzero().squeeze(1)
        kept_at_last = kept[part.fold != 2]
        assert torch.equal(part.batch.labels["survival"], whole.batch.labels["survival"][kept])
        assert torch.equal(rest.batch.values["clinical"], whole.batch.values["clinical"][kept_at_last])
        assert set(rest.fold.tolist()) == {-1}
        assert len(rest.marks) == len(rest.group) == len(rest.batch) == len(kept_at_last)
