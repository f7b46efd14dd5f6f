"""Cohorts opened by name or folder."""

import gc
from pathlib import Path

import pytest

from common.errors import InputError
from simulations.cohorts.cohort_folder import open_cohort, require_distinct


def test_a_named_cohort_is_written_to_a_folder_that_goes_with_it() -> None:
    with open_cohort("synthetic", hospitals=2, patients=30, seed=4) as cohort:
        folder = cohort.folder
        table = cohort.table()
        assert table["patients"].tolist() == [30, 30]
        assert table.index.tolist() == ["hospital 1", "hospital 2"]
        assert (table["survival: events"] <= table["survival: labelled"]).all()
        assert "2 hospitals" in repr(cohort)
        assert "<table" in cohort._repr_html_()
    assert not folder.exists()
    other = open_cohort("lung")
    place = other.folder
    del other
    gc.collect()
    assert not place.exists()


def test_an_out_stays(tmp_path: Path) -> None:
    with open_cohort("lung", out=tmp_path / "lung") as cohort:
        assert cohort.folder == tmp_path / "lung"
    assert (tmp_path / "lung" / "federation.toml").is_file()
    with open_cohort(tmp_path / "lung") as again:
        assert again.federation == cohort.federation
        assert again.origin.cohort == str(tmp_path / "lung")
    assert (tmp_path / "lung").is_dir()


def test_what_is_no_cohort_is_refused(tmp_path: Path, written_cohort: Path) -> None:
    for name, size in ((tmp_path, None), ("mnist", None), ("lung", 3), (written_cohort, 3)):
        with pytest.raises(InputError):
            open_cohort(name, hospitals=size)
    with pytest.raises(InputError):
        open_cohort(written_cohort, out=tmp_path / "out")


def test_two_cohorts_of_one_name_are_refused_before_anything_runs(tmp_path: Path) -> None:
    for place in ("a", "b"):
        (tmp_path / place / "fed").mkdir(parents=True)
    require_distinct(["lung", "ici", str(tmp_path / "a" / "fed")])
    for twice in (["lung", "lung"], [str(tmp_path / "a" / "fed"), str(tmp_path / "b" / "fed")]):
        with pytest.raises(InputError):
            require_distinct(twice)
