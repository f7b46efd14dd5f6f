from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from client.data.unlabelled import read_files, take_frames
from client.site_folder.site_file import SiteFile
from common.agreement.federation import Federation
from common.errors import InputError, InvalidContentError

SITE = SiteFile(
    name="north",
    id="mrn",
    tables={"clinical": "c.csv"},
    columns={"clinical": {"age": "AGE", "stage": "STAGE"}},
)


def clinical(**changes: object) -> pd.DataFrame:
    table = {"mrn": ["b", "a"], "AGE": [60.0, 50.0], "crp": [1.0, np.nan], "STAGE": ["2", "NA"]}
    return pd.DataFrame({**table, **changes})


def rna(patients: list[str]) -> pd.DataFrame:
    return pd.DataFrame({"mrn": patients, "G1": [float(len(patients))] * len(patients), "G2": 1e6})


def test_patients_of_any_table_are_read_in_order_with_the_hospitals_names(
    small_federation: Federation,
) -> None:
    read = take_frames({"clinical": clinical(), "rna": rna(["c", "a"])}, SITE, small_federation)
    assert read.identifiers == ("b", "a", "c")
    assert read.batch.values["clinical"].tolist() == [[60, 1, 0, 1, 0], [50, 0, 0, 0, 1], [0] * 5]
    assert read.batch.observed["clinical"].any(1).tolist() == [True, True, False]
    assert read.batch.observed["rna"].any(1).tolist() == [False, True, True]
    assert torch.allclose(read.batch.values["rna"][1], torch.tensor([2.0, 1e6]).log1p().clamp(-5, 5))
    assert not read.batch.labels


def test_files_and_tables_in_memory_are_read_alike(small_federation: Federation, tmp_path: Path) -> None:
    clinical().to_csv(tmp_path / "c.csv", index=False)
    rna(["a"]).to_parquet(tmp_path / "r.parquet")
    files = read_files(
        {"clinical": tmp_path / "c.csv", "rna": tmp_path / "r.parquet"}, SITE, small_federation
    )
    frames = take_frames({"clinical": clinical(), "rna": rna(["a"])}, SITE, small_federation)
    indexed = take_frames(
        {"clinical": clinical().set_index("mrn"), "rna": rna(["a"]).set_index("mrn")}, SITE, small_federation
    )
    for other in (frames, indexed):
        assert other.identifiers == files.identifiers
        for name, values in files.batch.values.items():
            assert torch.equal(values, other.batch.values[name])


@pytest.mark.parametrize(
    ("tables", "column"),
    [
        ({"clinical": clinical(AGE=[600.0, 50.0])}, "AGE"),
        ({"clinical": clinical(AGE=["sixty-CANARY", "50"])}, "AGE"),
        ({"clinical": clinical(STAGE=["CANARY", "1"])}, "STAGE"),
        ({"clinical": clinical(mrn=["a", "a"])}, "mrn"),
        ({"clinical": clinical(mrn=["a", None])}, "mrn"),
        ({"clinical": clinical().drop(columns="AGE")}, "AGE"),
        ({"clinical": clinical(), "rna": rna(["A"])}, "mrn"),
        ({"clinical": clinical()[:0]}, ""),
    ],
)
def test_a_fault_is_refused_by_its_column_and_without_a_value(
    tables: dict[str, pd.DataFrame], column: str, small_federation: Federation
) -> None:
    with pytest.raises(InvalidContentError) as error:
        take_frames(tables, SITE, small_federation)
    assert column in error.value.where
    assert "CANARY" not in str(error.value)
    assert "600" not in str(error.value)


def test_a_patient_twice_but_for_a_blank_is_refused(small_federation: Federation) -> None:
    with pytest.raises(InvalidContentError) as error:
        take_frames({"rna": rna(["CANARY 1", "CANARY1"])}, SITE, small_federation)
    assert error.value.where.endswith("column mrn")
    assert "CANARY" not in str(error.value)


def test_a_file_that_is_no_table_is_refused(small_federation: Federation, tmp_path: Path) -> None:
    (tmp_path / "c.csv").write_bytes(b"%PDF-1.7")
    with pytest.raises(InputError):
        read_files({"clinical": tmp_path / "c.csv"}, SITE, small_federation)


def test_rows_of_several_tables_are_not_joined_by_their_number(small_federation: Federation) -> None:
    tables = {"clinical": clinical().rename(columns={"mrn": "MRN"}), "rna": rna(["a", "b"])}
    for changed in (tables, tables | {"clinical": tables["clinical"].iloc[[1, 0]]}):
        with pytest.raises(InvalidContentError):
            take_frames(changed, SITE, small_federation)
    one = take_frames({"clinical": tables["clinical"].drop(columns="MRN")}, SITE, small_federation)
    assert one.identifiers == ("0", "1")
    numbered = tables["clinical"].drop(columns="MRN").set_index(pd.Index([7, 8], name="number"))
    read = take_frames({"clinical": numbered, "rna": rna(["8"])}, SITE, small_federation)
    assert read.identifiers == ("7", "8")


def test_rules_of_intake_hold_for_files_and_for_tables_in_memory(
    small_federation: Federation, tmp_path: Path
) -> None:
    site = SiteFile.model_validate(
        {
            **SITE.model_dump(),
            "intake": {
                "decimal": ",",
                "identifiers": {"case": "upper"},
                "clinical": {
                    "sheet": "Patients",
                    "header_row": 2,
                    "id": "Nr",
                    "columns": {"age": {"unit": "months"}, "stage": {"recode": {"two": "2"}}},
                },
            },
        }
    )
    table = clinical(AGE=["720,0", 600], STAGE=["two", "NA"]).rename(columns={"mrn": "Nr"})
    table.to_excel(tmp_path / "c.xlsx", sheet_name="Patients", startrow=1, index=False)
    for read in (
        read_files({"clinical": tmp_path / "c.xlsx"}, site, small_federation),
        take_frames({"clinical": table}, site, small_federation),
    ):
        assert read.identifiers == ("B", "A")
        assert read.batch.values["clinical"].tolist() == [[60, 1, 0, 1, 0], [50, 0, 0, 0, 1]]
