from collections.abc import Callable
from pathlib import Path

import pytest

from client.site_folder.played_site import PlayedSite, play, read_played_site
from client.site_folder.policy import Policy
from client.site_folder.site_file import SITE_FILE, parse_site_file, read_site_file
from common.agreement.federation import FILE_NAME, load
from common.errors import InvalidContentError

SmallCohort = Callable[..., Path]


def add(site: Path, lines: str) -> None:
    (site / SITE_FILE).write_text(f"{lines}\n{(site / SITE_FILE).read_text()}")


def test_a_site_is_played_with_all_that_its_file_says_but_policy_and_approval(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    site = small_cohort() / "hospital-1"
    add(site, f'approved = "{"0" * 64}"\ndevice = "cuda:1"\ndeterministic = true\nprecision = "bfloat16"')
    with (site / SITE_FILE).open("a") as file:
        file.write('\n[columns.clinical]\nclinical_1 = "Alter"\n\n[policy]\nrequire_dp = true\n')
    own, played = parse_site_file(site), play(site)
    changed = {"tables", "policy", "approved", "origin", "parts", "units", "folds"}
    assert own.policy != Policy() == played.policy
    assert played.model_dump(exclude=changed) == own.model_dump(exclude=changed)
    assert {table: Path(path) for table, path in played.tables.items()} == {
        table: site / name for table, name in own.tables.items()
    }
    again = play(played.model_copy(update={"units": (2, 0), "folds": (1, 0)}).write(tmp_path / "twin"))
    assert again == played.model_copy(update={"units": (2, 0), "folds": (1, 0)})


def test_a_hospitals_own_process_takes_no_played_site(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    federation = load(cohort / FILE_NAME)
    folder = PlayedSite(name="both", tables={}, parts=("a", "b")).write(tmp_path / "both")
    assert read_played_site(folder, federation).parts == ("a", "b")
    with pytest.raises(InvalidContentError):
        read_site_file(folder, federation)


def test_a_fault_is_told_of_the_hospitals_own_file(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort()
    site = cohort / "hospital-1"
    with (site / SITE_FILE).open("a") as file:
        file.write('\n[columns.clinical]\nnonsense = "Alter"\n')
    with pytest.raises(InvalidContentError) as refused:
        read_played_site(play(site).write(tmp_path / "twin"), load(cohort / FILE_NAME))
    assert refused.value.where.startswith(f"{site / SITE_FILE}, line ")
