import json
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from typer.testing import CliRunner

from client.cli import site_app
from client.profile.page import profile_page
from client.profile.profile import profile
from client.profile.text import WIDTH, profile_lines
from client.site_folder.places import Home
from common.agreement.federation import FILE_NAME, Federation, save
from common.agreement.modalities import Plausible
from common.errors import InputError, MissingFileError

if TYPE_CHECKING:
    from tests.client.conftest import Site


@pytest.fixture
def federation(small_federation: Federation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of a federation file, which says what is typical and is not approved."""
    folder = tmp_path_factory.mktemp("federation")
    data = small_federation.model_dump(mode="json")
    ranges = data["modalities"][0]["ranges"]
    ranges["age"] = Plausible(unit="years", low=0, high=120, typical=(45, 75)).model_dump()
    data["tasks"][0]["typical"] = (6, 24)
    save(Federation.model_validate(data, strict=False), folder / FILE_NAME)
    return folder


def test_a_cohort_is_profiled_by_table_follow_up_and_labels(site_folder: "Site", federation: Path) -> None:
    site_folder.clinical.loc[3, "age"] = ""
    cohort = profile(Home(site_folder.write()), federation)
    clinical, rna = cohort.tables
    age, crp = clinical.numbers
    assert (age.patients, age.missing, age.median, age.typical) == (11, 1, 56.0, (45, 75))
    assert (crp.lowest, crp.highest) == (0, 16.5)
    assert age.source == "clinical.csv: age"
    assert clinical.categories[0].levels == {"1": 4, "2": 4, "NA": 4}
    assert rna.numbers[1].median == 1e6  # as the table has it, before transform and clip
    (task,) = cohort.follow_up
    assert (task.times.patients, task.events) == (12, 6)
    assert task.of_events.median == 8.0
    assert {column.column: column.levels for column in cohort.labels}["skin"] == {"no": 12, "yes": 0}
    assert (cohort.doubts, cohort.problems, cohort.approved) == ((), (), False)


def test_ages_in_months_and_follow_up_in_years_are_doubted(site_folder: "Site", federation: Path) -> None:
    site_folder.clinical["age"] = site_folder.clinical["age"].astype(float) * 12
    site_folder.outcomes["months"] = site_folder.outcomes["months"].astype(float) / 12
    cohort = profile(Home(site_folder.write()), federation)
    assert len(cohort.doubts) == 2
    assert cohort.doubts[0].endswith("months instead of years?")
    assert cohort.doubts[1].endswith("years instead of months?")
    assert any("age" in problem for problem in cohort.problems)


def test_lines_fit_a_terminal_and_page_and_lines_name_every_column(
    site_folder: "Site", federation: Path
) -> None:
    site_folder.clinical["age"] = site_folder.clinical["age"].astype(float) * 12
    cohort = profile(Home(site_folder.write()), federation)
    lines = profile_lines(cohort)
    assert max(map(len, lines)) <= WIDTH
    page, text = profile_page(cohort), "\n".join(lines)
    for name in ("age", "crp", "stage", "G1", "survival", "response"):
        assert name in text
        assert name in page
    assert "<svg" in page
    assert re.search(r"\bhttps?://(?!www\.w3\.org)", page) is None
    assert "months instead of years?" in page


def test_nothing_is_written_outside_the_site_folder_and_no_identifier_anywhere(
    site_folder: "Site",
    federation: Path,
    tmp_path_factory: pytest.TempPathFactory,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    monkeypatch.chdir(elsewhere)
    monkeypatch.setenv("HOME", str(elsewhere))
    folder = site_folder.write()
    before = {path for path in folder.rglob("*") if path.is_file()}
    result = CliRunner().invoke(site_app, ["profile", str(folder), "--federation", str(federation), "--json"])
    assert result.exit_code == 0, result.output
    assert json.loads(result.output)["patients"] == 12
    page = folder / "profile" / "profile.html"
    new = {path for path in folder.rglob("*") if path.is_file()} - before
    assert page in new
    assert all(path.is_relative_to(folder) for path in new)
    assert [*elsewhere.rglob("*")] == []
    assert page.stat().st_mode & 0o077 == 0
    for content in (result.output, page.read_text(encoding="utf-8")):
        assert "CANARY-8371" not in content
    assert "do not send it" in page.read_text(encoding="utf-8")


def test_without_an_approved_file_one_has_to_be_named(site_folder: "Site") -> None:
    with pytest.raises(MissingFileError, match="--federation"):
        profile(Home(site_folder.write()))


def test_a_folder_without_outcomes_is_refused_with_the_cause(site_folder: "Site", federation: Path) -> None:
    folder = site_folder.write()
    (folder / "outcomes.csv").unlink()
    with pytest.raises(InputError, match="outcomes"):
        profile(Home(folder), federation)
    assert not (folder / "profile").exists()
