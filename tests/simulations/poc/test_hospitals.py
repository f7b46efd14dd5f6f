import re
from pathlib import Path

import pandas as pd
import pytest

from client.site_folder.site_file import parse_site_file
from common.agreement.federation import FILE_NAME, load
from common.errors import InputError, MissingFileError, OptionError
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites
from simulations.cohorts.synthetic import write_synthetic
from simulations.poc.hospitals import AGREEMENT, lay_out


@pytest.fixture
def cohort(tmp_path: Path) -> Path:
    write_synthetic(
        tmp_path / "cohort", sites=4, patients=12, genes=60, proteins=3, clinical=2, imaging=2, lacking=1
    )
    return tmp_path / "cohort"


@pytest.fixture
def out(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    return tmp_path / "out"


def rows(folder: Path, table: str = "outcomes") -> pd.DataFrame:
    path = folder / parse_site_file(folder).tables[table]
    return pd.read_parquet(path) if path.suffix == ".parquet" else pd.read_csv(path, dtype=str)


def test_a_named_cohorts_hospitals_are_merged_without_the_loss_of_a_patient(cohort: Path, out: Path) -> None:
    layout = lay_out(open_cohort(cohort), out, named=True, hospitals=2, rounds=None)
    assert [hospital.patients for hospital in layout.hospitals] == [24, 24]
    merged = [name for hospital in layout.hospitals for name in hospital.merged]
    assert sorted(merged) == [participant.name for participant in load(cohort / FILE_NAME).participants]
    for table in ("outcomes", "clinical", "rna"):
        before = pd.concat([rows(site, table) for site in find_sites(cohort) if has(site, table)])
        after = pd.concat([rows(site, table) for site in find_sites(out) if has(site, table)])
        shared = [column for column in before if column != "fold"]
        pd.testing.assert_frame_equal(
            before[shared].sort_values("patient", ignore_index=True),
            after.sort_values("patient", ignore_index=True),
        )
    agreement = load(out / AGREEMENT / FILE_NAME)
    assert agreement == layout.agreement
    assert [(one.name, one.patients) for one in agreement.participants] == [
        ("hospital 1", 24),
        ("hospital 2", 24),
    ]
    assert agreement.training.rounds == 4
    policy = parse_site_file(out / "hospital-1").policy
    assert policy.maximum_linear_rounds == agreement.linear_rounds == 2
    assert layout.notes


def has(site: Path, table: str) -> bool:
    return table in parse_site_file(site).tables


def test_patients_of_one_identifier_in_two_hospitals_stay_two_patients(cohort: Path, out: Path) -> None:
    for site in cohort.glob("hospital-*"):
        for path in site.glob("*.csv"):
            path.write_text(re.sub(r"(?m)^[^,\n]*-(\d+),", r"patient-\1,", path.read_text()))
    (hospital,) = lay_out(open_cohort(cohort), out, named=True, hospitals=1, rounds=1).hospitals
    patients = rows(out / hospital.folder)["patient"]
    assert len(patients) == patients.nunique() == 48


def test_a_users_folder_is_copied_and_its_keys_ledger_and_folds_are_not(cohort: Path, out: Path) -> None:
    site = cohort / "hospital-1"
    (site / "keys").mkdir()
    (site / "keys" / "node_key").write_text("secret")
    with (site / "site.toml").open("a") as file:
        file.write("\n[policy]\nminimum_cohort = 7\n")
    (site / "tables").mkdir()
    (site / "clinical.csv").rename(site / "tables" / "clinical.csv")
    text = (site / "site.toml").read_text()
    (site / "site.toml").write_text(text.replace('"clinical.csv"', '"tables/clinical.csv"'))
    layout = lay_out(open_cohort(cohort), out, named=False, hospitals=None, rounds=None)
    assert (out / AGREEMENT / FILE_NAME).read_bytes() == (cohort / FILE_NAME).read_bytes()
    assert [hospital.folder for hospital in layout.hospitals] == [
        f"hospital-{number}" for number in range(1, 5)
    ]
    copied = parse_site_file(out / "hospital-1")
    assert (copied.fold, copied.policy.minimum_cohort) == (None, 7)
    assert (out / "hospital-1" / "tables" / "clinical.csv").is_file()
    assert not (out / "hospital-1" / "keys").exists()
    assert not layout.notes


def test_the_first_hospitals_of_a_folder_take_part_and_the_others_are_left_out_of_the_file(
    cohort: Path, out: Path
) -> None:
    layout = lay_out(open_cohort(cohort), out, named=False, hospitals=2, rounds=3)
    assert [one.name for one in layout.agreement.participants] == ["hospital 1", "hospital 2"]
    assert layout.agreement.training.rounds == 3
    assert sorted(path.name for path in out.iterdir()) == [AGREEMENT, "hospital-1", "hospital-2"]


def test_a_folder_called_like_one_of_ours_gets_another_name(cohort: Path, out: Path) -> None:
    (cohort / "hospital-1").rename(cohort / "coordinator")
    layout = lay_out(open_cohort(cohort), out, named=False, hospitals=None, rounds=None)
    assert layout.hospitals[0].folder == "coordinator-2"


@pytest.mark.parametrize("named", [True, False])
def test_more_hospitals_than_there_are_is_refused(cohort: Path, out: Path, named: bool) -> None:
    with pytest.raises(OptionError):
        lay_out(open_cohort(cohort), out, named=named, hospitals=5, rounds=None)


def test_a_table_that_is_not_there_is_named(cohort: Path, out: Path) -> None:
    (cohort / "hospital-1" / "clinical.csv").unlink()
    with pytest.raises(MissingFileError) as refused:
        lay_out(open_cohort(cohort), out, named=False, hospitals=None, rounds=None)
    assert refused.value.where.endswith("clinical.csv")
    assert isinstance(refused.value, InputError)
