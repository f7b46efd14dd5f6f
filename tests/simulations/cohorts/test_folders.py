import errno
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from client.data.cohort import Cohort
from client.data.inspection import read_cohort
from client.families.played import read_played
from client.site_folder.played_site import play
from client.site_folder.site_file import SITE_FILE, read_site_file
from common.agreement.federation import FILE_NAME, Federation, load
from common.errors import MissingFileError
from common.patients.batch import PatientBatch, concatenate
from simulations.cohorts.folders import find_sites, folder_name, pool_sites, twin, write_site
from simulations.cohorts.sources import write_cohort


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    write_cohort("synthetic", None, tmp_path / "cohort")
    return tmp_path / "cohort"


def assert_same(one: PatientBatch, other: PatientBatch) -> None:
    for part in ("values", "observed", "labels", "labelled"):
        mine, theirs = getattr(one, part), getattr(other, part)
        assert mine.keys() == theirs.keys()
        assert all(torch.equal(mine[name], theirs[name]) for name in mine)


def played(site: Path, federation: Federation) -> Cohort:
    cohort = read_played(site, federation)
    assert isinstance(cohort, Cohort)
    return cohort


def test_pooled_site_is_the_concatenation_of_its_sites(synthetic: Path, tmp_path: Path) -> None:
    federation = load(synthetic / FILE_NAME)
    sites = find_sites(synthetic)
    pooled = played(pool_sites(sites, tmp_path, "everyone"), federation)
    alone = [read_cohort(site, federation) for site in sites]
    assert_same(pooled.batch, concatenate([cohort.batch for cohort in alone]))
    assert torch.equal(pooled.fold, torch.cat([cohort.fold for cohort in alone]))
    assert pooled.group == tuple(group for cohort in alone for group in cohort.group)
    assert len(pooled.batch) == len(pooled.marks) == 360
    assert pooled.site == "everyone"
    assert {path.name for path in (tmp_path / "everyone").rglob("*") if path.is_file()} == {SITE_FILE}


def test_pooling_resolves_column_names_formats_and_equal_identifiers(tmp_path: Path) -> None:
    write_cohort("synthetic", None, tmp_path / "cohort")
    federation = load(tmp_path / "cohort" / FILE_NAME)
    first, second = find_sites(tmp_path / "cohort")[:2]
    expected = [read_cohort(site, federation) for site in (first, second)]
    translate_to_german_parquet(first)
    share_identifiers(first, second)
    assert_same(read_cohort(first, federation).batch, expected[0].batch)
    pooled = played(pool_sites([first, second], tmp_path, "both"), federation)
    assert_same(pooled.batch, concatenate([cohort.batch for cohort in expected]))
    assert torch.equal(pooled.fold, torch.cat([cohort.fold for cohort in expected]))


def translate_to_german_parquet(site: Path) -> None:
    """Rename columns to the hospital's own, one of them to a name the federation uses otherwise."""
    outcomes = pd.read_csv(site / "outcomes.csv").rename(columns={"fold": "Gruppe"})
    clinical = pd.read_csv(site / "clinical.csv")
    clinical = clinical.rename(columns={"clinical_1": "clinical_2", "clinical_2": "Gewicht"})
    outcomes.to_csv(site / "outcomes.csv", index=False)
    clinical.to_parquet(site / "clinical.parquet", index=False)
    text = (site / "site.toml").read_text().replace("clinical.csv", "clinical.parquet")
    text = text.replace('fold = "fold"', 'fold = "Gruppe"')
    mapping = '\n[columns.clinical]\nclinical_1 = "clinical_2"\nclinical_2 = "Gewicht"\n'
    (site / "site.toml").write_text(text + mapping)


def share_identifiers(first: Path, second: Path) -> None:
    """Give the second site's patients the first one's identifiers."""
    ours = pd.read_csv(first / "outcomes.csv").patient
    theirs = pd.read_csv(second / "outcomes.csv").patient
    names = dict(zip(theirs, ours, strict=True))
    for path in (*second.glob("*.csv"), *second.glob("*.parquet")):
        frame = pd.read_csv(path, dtype=str) if path.suffix == ".csv" else pd.read_parquet(path)
        frame["patient"] = frame["patient"].map(names)
        _ = frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path, index=False)


def test_find_sites_is_sorted_and_refuses_a_folder_without_any(tmp_path: Path) -> None:
    for name in ("b", "a"):
        write_site(tmp_path / name, name, pd.DataFrame({"died": [1]}, index=["p"]), {})
    (tmp_path / "prior").mkdir()
    assert [site.name for site in find_sites(tmp_path)] == ["a", "b"]
    with pytest.raises(MissingFileError) as refused:
        find_sites(tmp_path / "prior")
    assert refused.value.where == str(tmp_path / "prior")
    assert SITE_FILE in refused.value.remedy


class FullDisk(pd.DataFrame):
    """A table for which there is no room on the disk."""

    def to_csv(self, *_: Any, **__: Any) -> None:  # type: ignore[override]
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_write_site_leaves_the_old_folder_when_it_fails(tmp_path: Path) -> None:
    outcomes = pd.DataFrame({"died": [1]}, index=["p"])
    write_site(tmp_path / "a", "a", outcomes, {})
    before = (tmp_path / "a" / "site.toml").read_text()
    with pytest.raises(OSError) as failed:
        write_site(tmp_path / "a", "renamed", FullDisk(outcomes), {})
    assert failed.value.errno == errno.ENOSPC
    assert (tmp_path / "a" / "site.toml").read_text() == before
    assert [site.name for site in find_sites(tmp_path)] == ["a"]


def test_a_twin_has_the_same_patients_and_asks_for_no_leave(synthetic: Path, tmp_path: Path) -> None:
    federation = load(synthetic / FILE_NAME)
    site = find_sites(synthetic)[0]
    expected = read_cohort(site, federation)
    bound = f'approved = "{"0" * 64}"\n' + (site / SITE_FILE).read_text() + "\n[policy]\nrequire_dp = true\n"
    (site / SITE_FILE).write_text(bound)
    before = {path: path.read_bytes() for path in site.iterdir()}
    made = twin(site, tmp_path / "twins" / "one")
    told = read_cohort(made, federation)
    assert_same(told.batch, expected.batch)
    assert (told.site, told.group) == (expected.site, expected.group)
    assert torch.equal(told.fold, expected.fold)
    assert not read_site_file(made, federation).policy.require_dp
    assert [path.name for path in made.iterdir()] == [SITE_FILE]
    assert {path: path.read_bytes() for path in site.iterdir()} == before


def test_what_is_wrong_in_a_twins_table_is_told_of_the_sites_own(synthetic: Path, tmp_path: Path) -> None:
    site = find_sites(synthetic)[0]
    made = twin(site, tmp_path / "twin")
    (site / "clinical.csv").unlink()
    with pytest.raises(MissingFileError) as refused:
        read_cohort(made, load(synthetic / FILE_NAME))
    assert refused.value.where == str(site / "clinical.csv")


def test_folder_names() -> None:
    assert folder_name("pool: US-South") == "pool-us-south"
    assert folder_name("***") == "site"


def test_wide_tables_are_parquet(synthetic: Path) -> None:
    federation: Federation = load(synthetic / FILE_NAME)
    suffixes = {path.stem: path.suffix for path in synthetic.glob("*/*") if path.suffix != ".toml"}
    assert suffixes["rna"] == ".parquet"
    assert suffixes["clinical"] == ".csv"
    assert len(federation.modality("rna").columns) == 60


def test_a_twin_and_a_pooled_site_train_as_the_site_files_say(synthetic: Path, tmp_path: Path) -> None:
    sites = find_sites(synthetic)[:2]
    for number, site in enumerate(sites):
        text = (
            'device = "cpu"\ndeterministic = true\nprecision = "bfloat16"\n' if number else 'device = "cpu"\n'
        )
        (site / SITE_FILE).write_text(text + (site / SITE_FILE).read_text())
    made = play(twin(sites[1], tmp_path / "twin"))
    assert (made.device, made.deterministic, made.precision) == ("cpu", True, "bfloat16")
    pooled = play(pool_sites(sites, tmp_path, "both"))
    assert (pooled.device, pooled.deterministic, pooled.precision) == ("cpu", False, "float32")
