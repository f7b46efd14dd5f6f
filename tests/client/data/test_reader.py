"""A site folder's tables become a cohort: rows joined on identifiers, which end there, and every problem named."""

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from client.data.cohort import Cohort, passport
from client.data.inspection import read_cohort
from client.data.reader import read_folder
from client.data.tables import codes, read_table
from client.site_folder.site_file import read_site_file
from client.tables.header import Wanted
from common.agreement.federation import Federation
from common.agreement.settings import Participant
from common.errors import InputError

PATIENTS = 12
CANARIES = ("CANARY-8371", "98765", "CANARYLEVEL")


def test_values_labels_and_folds(site_folder: Any, small_federation: Federation) -> None:
    site_folder.site |= {"fold": "fold", "approved": small_federation.digest}
    cohort = read_cohort(site_folder.write(), small_federation)
    batch = cohort.batch
    assert batch.values["clinical"][4].tolist() == [54.0, 6.0, 0.0, 1.0, 0.0]
    assert batch.values["clinical"][2].tolist() == [52.0, 3.0, 0.0, 0.0, 1.0]
    assert torch.allclose(batch.values["rna"][0], torch.tensor([-np.log(5.0), 5.0]).float())
    assert batch.labels["survival"][3].tolist() == [6.0, 0.0]
    assert batch.labels["response"][:, 0].tolist() == [0.0, 1.0] * 6
    assert cohort.fold.tolist() == [0, 1, 2] * 4
    assert cohort.group == ("north",) * PATIENTS


def test_missing_table_is_an_absent_modality(site_folder: Any, small_federation: Federation) -> None:
    del site_folder.site["tables"]["rna"]
    batch = read_cohort(site_folder.write(), small_federation).batch
    assert not batch.present("rna").any()
    assert batch.present("clinical").all()


def test_patient_missing_in_a_table_and_stranger_in_it(
    site_folder: Any, small_federation: Federation
) -> None:
    site_folder.rna = site_folder.rna.iloc[2:]
    site_folder.rna.loc[5, "patient"] = "stranger"
    cohort, problems = read(site_folder, small_federation)
    assert cohort is not None
    assert ["1 of 10 rows" in problem.what for problem in problems] == [True]
    assert cohort.batch.present("rna").tolist() == [place not in (0, 1, 5) for place in range(PATIENTS)]
    assert cohort.unmatched["rna"] == 1
    modalities = passport(cohort, small_federation)["modalities"]
    assert isinstance(modalities, dict)
    assert modalities["rna"] == {"patients": 9, "missing": 0.0, "unmatched": 1}


def read(site: Any, federation: Federation) -> tuple[Cohort | None, list[InputError]]:
    folder = site.write()
    return read_folder(folder, read_site_file(folder, federation), federation)


def test_patients_are_in_the_order_of_outcomes_whatever_the_order_of_a_table(
    site_folder: Any, small_federation: Federation
) -> None:
    site_folder.clinical = site_folder.clinical.sample(frac=1, random_state=1)
    site_folder.rna = site_folder.rna[::-1]
    cohort, problems = read(site_folder, small_federation)
    assert cohort is not None
    assert problems == []
    assert cohort.batch.values["clinical"][:, 0].tolist() == [50.0 + place for place in range(PATIENTS)]
    g1 = np.arange(PATIENTS) - 4.0
    np.testing.assert_allclose(
        cohort.batch.values["rna"][:, 0], np.sign(g1) * np.log1p(np.abs(g1)), rtol=1e-6
    )


def test_what_is_clipped_is_clipped_after_it_was_transformed(
    site_folder: Any, small_federation: Federation
) -> None:
    """ln(1 + 1e6) is above 5, and 1e6 itself far above it."""
    cohort, _ = read(site_folder, small_federation)
    assert cohort is not None
    assert cohort.batch.values["rna"][:, 1].tolist() == [5.0] * PATIENTS
    assert float(cohort.batch.values["rna"][0, 0]) == pytest.approx(-np.log(5.0))


def test_no_identifier_and_no_other_column_is_in_a_cohort(
    site_folder: Any, small_federation: Federation
) -> None:
    site_folder.outcomes["free_text"] = "CANARYLEVEL"
    site_folder.clinical["phone"] = 98765.4321
    cohort, problems = read(site_folder, small_federation)
    assert cohort is not None
    assert problems == []
    assert not any(canary in repr(cohort) for canary in CANARIES)
    tensors = [
        tensor for field in fields(cohort.batch) for tensor in getattr(cohort.batch, field.name).values()
    ]
    assert not any((tensor.double() - 98765.4321).abs().min() < 1 for tensor in tensors)


def test_problems_of_all_tables_come_at_once_and_quote_nothing(
    site_folder: Any, small_federation: Federation
) -> None:
    site_folder.clinical.loc[0, "age"] = 98765.4321
    site_folder.clinical.loc[0, "stage"] = "CANARYLEVEL"
    site_folder.outcomes.loc[0, "died"] = 98765
    site_folder.rna["patient"] = "CANARYLEVEL" + site_folder.rna["patient"]
    cohort, problems = read(site_folder, small_federation.changed({"minimum_patients": "13"}))
    assert cohort is not None
    told = [str(problem) for problem in problems]
    assert len(told) == 5
    for part in ("column age", "column stage", "column died", "rna.parquet, column patient", "asks for 13"):
        assert sum(part in line for line in told) == 1, part
    assert not any(canary in line for canary in CANARIES for line in told)
    assert all(problem.remedy for problem in problems)


@pytest.mark.parametrize(("declared", "refused"), [(12, 0), (11, 1)])
def test_more_patients_than_the_federation_file_declares_are_refused(
    site_folder: Any, small_federation: Federation, declared: int, refused: int
) -> None:
    sized = (Participant(name="north", patients=declared),)
    _, problems = read(site_folder, small_federation.model_copy(update={"participants": sized}))
    assert [f"declares {declared} for north" in problem.what for problem in problems] == [True] * refused


def test_without_outcomes_there_is_no_cohort(site_folder: Any, small_federation: Federation) -> None:
    site_folder.outcomes = site_folder.outcomes.drop(columns="died")
    cohort, problems = read(site_folder, small_federation)
    assert cohort is None
    assert [problem.what for problem in problems] == ["is missing"]
    assert "[columns.outcomes] in site.toml" in problems[0].remedy


def test_a_category_that_is_empty_is_unknown_in_all_its_levels(
    site_folder: Any, small_federation: Federation
) -> None:
    clinical, rna = small_federation.modalities
    stages = clinical.model_copy(update={"categories": {"stage": ("1", "2")}})
    federation = small_federation.model_copy(update={"modalities": (stages, rna)})
    cohort, problems = read(site_folder, federation)
    assert cohort is not None
    assert problems == []
    unknown = torch.arange(PATIENTS) % 3 == 2  # the site's "NA", a level of the other file
    assert cohort.batch.observed["clinical"][:, 2:].any(1).tolist() == (~unknown).tolist()
    assert cohort.batch.values["clinical"][:, 2:].sum(1).tolist() == (~unknown).float().tolist()


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_booleans_and_days_are_the_same_levels_in_every_kind_of_file(ending: str, tmp_path: Path) -> None:
    frame = pd.DataFrame(
        {
            "id": ["a", "b", "c"],
            "smoker": pd.array([True, None, False], dtype="boolean"),
            "ward": [True, False, True],
            "admitted": [pd.Timestamp("2020-01-01"), pd.NaT, pd.Timestamp("2021-06-30")],
        }
    )
    path = tmp_path / f"clinical.{ending}"
    frame.to_csv(path, index=False) if ending == "csv" else frame.to_parquet(path)
    levels = {
        "smoker": ("False", "True"),
        "ward": ("False", "True"),
        "admitted": ("2020-01-01", "2021-06-30"),
    }
    table = read_table(path, Wanted("clinical", "id", list(levels), categories=levels)).value
    assert table is not None
    read = {column: codes(table, column, names) for column, names in levels.items()}
    assert not any(column.problems for column in read.values())
    assert {name: column.value.tolist() for name, column in read.items()} == {
        "smoker": [1, -1, 0],
        "ward": [1, 0, 1],
        "admitted": [0, -1, 1],
    }
