"""Numbers of a hospital's units as the gate counts them in the tables."""

import gzip
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd
import pytest

from client.egress.cohort import count_cohort
from client.site_folder.site_file import parse_site_file
from common.agreement.privacy_settings import Privacy
from common.privacy.planning import with_privacy
from tests.client.conftest import PATIENTS

if TYPE_CHECKING:
    from client.egress.cohort import CohortSize
    from tests.client.conftest import Hospital


def count(hospital: "Hospital") -> "CohortSize":
    return count_cohort(hospital.folder, parse_site_file(hospital.folder), hospital.federation)


def test_units_are_counted_and_split_as_the_app_splits_them(hospital: "Hospital") -> None:
    cohort = count(hospital)
    assert (cohort.units, cohort.training, cohort.validation) == (PATIENTS, 9, 3)
    assert hospital.statistics().patients == cohort.training
    assert hospital.evaluate().metrics["validation_patients"] == cohort.validation
    assert cohort.absent == frozenset()
    assert [cohort.most(table) for table in ("clinical", "rna", None)] == [9, 9, 9]


def test_under_privacy_all_units_train(hospital: "Hospital") -> None:
    privacy = Privacy(noise_multiplier=2.0, sampling_rate=0.5, expected_batch_size=6)
    hospital.federation = with_privacy(hospital.federation, privacy)
    assert (count(hospital).training, count(hospital).validation) == (PATIENTS, 0)


def test_a_missing_table_has_nobody_and_a_short_one_few(hospital: "Hospital") -> None:
    del hospital.site.site["tables"]["rna"]
    hospital.site.clinical = hospital.site.clinical.head(4)
    hospital.write()
    cohort = count(hospital)
    assert cohort.absent == {"rna"}
    assert cohort.most("rna") == 0
    assert 4 <= cohort.most("clinical") <= 5, "the heading's line may count"


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet", ".csv.zip"])
def test_a_table_is_counted_in_every_form_that_is_read(hospital: "Hospital", ending: str) -> None:
    name = f"outcomes{ending}"
    if ending == ".parquet":
        hospital.site.outcomes.astype({"fold": int}).infer_objects().to_parquet(hospital.folder / name)
    else:
        hospital.site.outcomes.to_csv(hospital.folder / name, index=False)
    hospital.site.site["tables"]["outcomes"] = name
    hospital.write()
    assert count(hospital).units == PATIENTS == hospital.statistics().patients + 3


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.rstrip("\n"),
        lambda text: text + "\n\n",
        lambda text: text.replace("\n", "\r\n"),
        lambda text: text.replace("p1,", '"p\n1",'),
    ],
    ids=["no last line end", "blank lines", "carriage returns", "line end in a name"],
)
def test_lines_that_are_no_rows_are_not_counted(hospital: "Hospital", change: Any) -> None:
    path: Path = hospital.folder / "outcomes.csv"
    text = path.read_bytes().decode()
    path.write_bytes(change(text).encode())
    assert len(pd.read_csv(path)) == PATIENTS
    assert count(hospital).units == PATIENTS


def test_a_table_that_grows_is_counted_anew(hospital: "Hospital") -> None:
    assert count(hospital).units == PATIENTS
    with (hospital.folder / "outcomes.csv").open("a") as file:
        file.write("new,7.0,1,0,0,1,0\n")
    assert count(hospital).units == PATIENTS + 1


def test_a_packed_table_of_many_lines_is_counted(hospital: "Hospital") -> None:
    lines = "patient,age,crp,stage\n" + "p,1,1,1\n" * 300_000
    (hospital.folder / "clinical.csv.gz").write_bytes(gzip.compress(lines.encode(), 1))
    hospital.site.site["tables"]["clinical"] = "clinical.csv.gz"
    hospital.write()
    assert count(hospital).rows["clinical"] == 300_001


def test_patients_are_counted_by_the_rules_that_choose_rows(hospital: "Hospital") -> None:
    outcomes = hospital.site.outcomes
    visits = pd.concat([outcomes.assign(visit=1), outcomes.assign(visit=2)])
    visits["patient"] = [
        str(patient).upper() + " " * (place % 2) for place, patient in enumerate(visits.patient)
    ]
    hospital.site.outcomes = visits
    hospital.site.site["intake"] = {
        "identifiers": {"case": "lower"},
        "outcomes": {"delimiter": ";", "encoding": "utf-16", "rows": {"keep": "last", "by": "visit"}},
    }
    hospital.write()
    visits.to_csv(hospital.folder / "outcomes.csv", index=False, sep=";", encoding="utf-16")
    assert count(hospital).units == PATIENTS == hospital.statistics().patients + 3
