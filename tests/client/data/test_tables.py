"""Tables as hospitals have them: own column names, gaps, levels read as floats."""

from typing import Any

import pytest

from client.data.inspection import read_cohort
from common.agreement.federation import Federation
from common.errors import InputError

PATIENTS = 12


def test_column_mapping_wins_over_a_column_of_the_federations_name(
    site_folder: Any, small_federation: Federation
) -> None:
    site_folder.clinical["years"], site_folder.clinical["age"] = site_folder.clinical["age"], "not an age"
    site_folder.site["columns"] = {"clinical": {"age": "years"}, "outcomes": {"died": "gut"}}
    batch = read_cohort(site_folder.write(), small_federation).batch
    assert batch.values["clinical"][:, 0].tolist() == [50.0 + place for place in range(PATIENTS)]
    assert batch.labels["survival"][:, 1].tolist() == [1.0] * PATIENTS


def test_problem_names_the_hospitals_own_column(site_folder: Any, small_federation: Federation) -> None:
    site_folder.clinical = site_folder.clinical.rename(columns={"age": "Alter"})
    site_folder.clinical.loc[0, "Alter"] = 98765.4321
    site_folder.site["columns"] = {"clinical": {"age": "Alter"}}
    with pytest.raises(InputError) as raised:
        read_cohort(site_folder.write(), small_federation)
    assert "clinical.csv, column Alter" in str(raised.value)


@pytest.mark.parametrize("empty", [None, "", "NaN", "NULL"])
def test_empty_cells_are_masks(empty: str | None, site_folder: Any, small_federation: Federation) -> None:
    for table, column in (("clinical", "crp"), ("clinical", "stage"), ("outcomes", "skin")):
        getattr(site_folder, table).loc[1, column] = empty
    site_folder.outcomes.loc[1, ["months", "died"]] = empty
    batch = read_cohort(site_folder.write(), small_federation).batch
    assert batch.observed["clinical"][1].tolist() == [True, False, False, False, False]
    assert batch.labelled["survival"][1].tolist() == [False, False]
    assert batch.labelled["toxicity"][1].tolist() == [False, True]
    assert batch.observed["clinical"].sum() == PATIENTS * 5 - 4


def test_levels_and_identifiers_read_as_floats_are_the_same_text(
    site_folder: Any, small_federation: Federation
) -> None:
    for table in ("outcomes", "clinical", "rna"):
        frame = getattr(site_folder, table)
        frame["patient"] = range(PATIENTS)
    site_folder.rna["patient"] = site_folder.rna["patient"].astype(float)
    site_folder.outcomes["response"] = [None, *([1.0] * (PATIENTS - 1))]
    cohort = read_cohort(site_folder.write(), small_federation)
    assert cohort.batch.present("rna").all()
    assert cohort.batch.labels["response"][1:, 0].tolist() == [1.0] * (PATIENTS - 1)
    assert not cohort.batch.labelled["response"][0]


def test_level_with_leading_zero_survives_csv(site_folder: Any, small_federation: Federation) -> None:
    clinical = small_federation.modalities[0].model_copy(update={"categories": {"stage": ("01", "02")}})
    federation = small_federation.model_copy(
        update={"modalities": (clinical, small_federation.modalities[1])}
    )
    site_folder.clinical["stage"] = ["01", "02"] * 6
    batch = read_cohort(site_folder.write(), federation).batch
    assert batch.values["clinical"][:, 2].tolist() == [1.0, 0.0] * 6
