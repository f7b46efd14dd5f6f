"""Records that judge a release are none that trained it."""

import shutil
from datetime import date
from pathlib import Path

import pandas as pd
import pytest

from client.commands.adopt import adopt, read_adoption
from client.rounds.split import split
from client.site_folder.places import Home
from client.site_folder.releases import open_adopted
from client.validation.judged import JudgedRecords, Setting, judged_records
from common.agreement.federation import FILE_NAME, load
from common.assessment.part import Whose
from common.errors import InvalidContentError, MissingFileError, OptionError, StateError
from common.prediction.network import released_network
from tests.client.conftest import PATIENTS, Hospital
from tests.released import Coordinator


@pytest.fixture(params=["a part in the run", "no part"])
def adopted(request: pytest.FixtureRequest, approved: Home, proposal: Path) -> Home:
    """A site that adopted a release, with a part in its run or without."""
    took_part = request.param == "a part in the run"
    made = Coordinator(proposal, load(proposal / FILE_NAME), ("north",) if took_part else ("south",))
    approved.authority.write_bytes(made.authority.read_bytes())
    adopt(approved, read_adoption(approved, made.write()))
    return approved


def judged(home: Home, tables: Path | None = None, since: date | None = None) -> JudgedRecords:
    release = open_adopted(home)
    return judged_records(home, release, released_network(release), tables, since)


def took_part(home: Home) -> bool:
    return "north" in open_adopted(home).card.hospitals


def with_dates(hospital: Hospital, days: list[object]) -> None:
    """Give the site's patients a column of dates that the site file names."""
    hospital.site.outcomes["diagnosed"] = days
    hospital.site.site["date"] = "diagnosed"
    hospital.write()


def later_tables(hospital: Hospital, folder: Path, identifiers: list[str]) -> Path:
    """Tables like the site's of other patients."""
    for name in ("outcomes", "clinical"):
        table = getattr(hospital.site, name).copy()
        table["patient"] = identifiers
        table.to_csv(folder / f"{name}.csv", index=False)
    rna = hospital.site.rna.copy()
    rna["patient"] = identifiers
    rna.to_parquet(folder / "rna.parquet", index=False)
    return folder


def test_a_hospital_judges_by_those_who_did_not_train(adopted: Home, hospital: Hospital) -> None:
    chosen = judged(adopted)
    held = split(PATIENTS, hospital.federation.training).of(Whose.HELD_OUT)
    if took_part(adopted):
        assert (chosen.setting, len(chosen.records)) == (Setting.INTERNAL, len(held))
    else:
        assert (chosen.setting, len(chosen.records)) == (Setting.EXTERNAL, PATIENTS)


def test_patients_of_the_site_folder_are_left_out_of_other_tables_where_they_may_have_trained(
    adopted: Home, hospital: Hospital, tmp_path_factory: pytest.TempPathFactory
) -> None:
    ours = hospital.site.outcomes["patient"].tolist()
    names = [*ours[:5], *(f"new{number}" for number in range(PATIENTS - 5))]
    tables = later_tables(hospital, tmp_path_factory.mktemp("later"), names)
    chosen = judged(adopted, tables)
    if took_part(adopted):
        assert (chosen.setting, len(chosen.records)) == (Setting.NEW, PATIENTS - 5)
        with pytest.raises(StateError):
            judged(adopted, later_tables(hospital, tmp_path_factory.mktemp("same"), ours))
    else:
        assert (chosen.setting, len(chosen.records)) == (Setting.EXTERNAL, PATIENTS)


def test_dates_choose_the_later_patients(
    adopted: Home, hospital: Hospital, tmp_path_factory: pytest.TempPathFactory
) -> None:
    with pytest.raises(InvalidContentError):
        judged(adopted, since=date(2024, 1, 1))  # no column is named
    days: list[object] = [f"20{15 + number}-06-01" for number in range(PATIENTS)]
    days[-1] = None
    with_dates(hospital, days)
    tables = later_tables(hospital, tmp_path_factory.mktemp("later"), [f"new{n}" for n in range(PATIENTS)])
    chosen = judged(adopted, tables, date(2020, 6, 1))
    assert len(chosen.records) == PATIENTS - 6  # the one without a date among those left out
    assert chosen.setting is (Setting.TEMPORAL if took_part(adopted) else Setting.EXTERNAL)
    with pytest.raises(OptionError):
        judged(adopted, tables, date(2031, 1, 1))
    within = judged(adopted, since=date(2020, 6, 1))
    assert within.setting is (Setting.INTERNAL if took_part(adopted) else Setting.EXTERNAL)


@pytest.mark.parametrize("adopted", ["no part"], indirect=True)
def test_a_cell_that_is_no_date_is_refused_without_being_shown(adopted: Home, hospital: Hospital) -> None:
    with_dates(hospital, ["CANARY-8371"] * PATIENTS)
    with pytest.raises(InvalidContentError) as refused:
        judged(adopted, since=date(2020, 1, 1))
    assert "CANARY" not in str(refused.value)
    hospital.site.site["date"] = "elsewhere"
    hospital.write()
    with pytest.raises(InvalidContentError):
        judged(adopted, since=date(2020, 1, 1))


@pytest.mark.parametrize("adopted", ["no part"], indirect=True)
def test_dates_of_parquet_are_read(adopted: Home, hospital: Hospital) -> None:
    with_dates(hospital, [f"20{15 + number}-06-01" for number in range(PATIENTS)])
    table = pd.read_csv(hospital.folder / "outcomes.csv", dtype={"patient": str})
    table["diagnosed"] = pd.to_datetime(table["diagnosed"])
    table.to_parquet(hospital.folder / "outcomes.parquet", index=False)
    text = (hospital.folder / "site.toml").read_text().replace("outcomes.csv", "outcomes.parquet")
    (hospital.folder / "site.toml").write_text(text)
    assert len(judged(adopted, since=date(2020, 6, 1)).records) == PATIENTS - 5


@pytest.mark.parametrize("adopted", ["no part"], indirect=True)
def test_tables_that_are_not_there_are_named(adopted: Home, hospital: Hospital, tmp_path: Path) -> None:
    with pytest.raises(MissingFileError):
        judged(adopted, tmp_path / "nowhere")
    tables = later_tables(hospital, tmp_path, [f"new{n}" for n in range(PATIENTS)])
    lacking = shutil.copytree(
        tables, tmp_path / "lacking", ignore=shutil.ignore_patterns("outcomes*", "lacking")
    )
    with pytest.raises(MissingFileError) as refused:
        judged(adopted, lacking)
    assert "outcomes" in str(refused.value)
