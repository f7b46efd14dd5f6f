"""Check of a cohort against the approved federation file: counts and problems, and no value of a patient."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client.commands.check import check, check_lines
from client.site_folder.places import Home
from common.agreement.federation import load, save
from common.errors import InputError

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def test_a_sound_cohort_is_counted(approved: Home) -> None:
    seen = check(approved)
    assert (seen["site"], seen["patients"], seen["problems"]) == ("north", 12, [])
    assert seen["federation"] == load(approved.agreement).digest
    assert seen["tasks"]["response"] == {"labelled": 12, "0": 6, "1": 6}
    assert seen["tasks"]["survival"]["events"] == 6
    lines = check_lines(seen)
    assert lines[0] == "north: 12 patients"
    assert lines[-1] == "The tables satisfy the approved federation file, and the policy permits it."
    assert "CANARY" not in json.dumps(seen) + str(lines)


def test_every_problem_is_listed_and_none_quotes_a_patient(approved: Home, hospital: "Hospital") -> None:
    hospital.site.clinical.loc[0, "age"] = 98765.4321
    hospital.site.clinical.loc[0, "stage"] = "CANARYLEVEL"
    hospital.write()
    seen = check(approved)
    assert len(seen["problems"]) == 2
    lines = check_lines(seen)
    assert sum(line.startswith("PROBLEM ") for line in lines) == 2
    assert not any("satisfy" in line for line in lines)
    told = json.dumps(seen) + str(lines)
    assert not any(canary in told for canary in ("CANARY", "98765", "98,765"))


def test_a_device_that_is_not_there_is_a_problem(approved: Home, hospital: "Hospital") -> None:
    hospital.site.site["device"] = "cuda:999"
    hospital.write()
    (problem,) = check(approved)["problems"]
    assert problem.startswith(f"{approved.folder / 'site.toml'}, device: asks for cuda:999, and ")


def test_a_site_file_that_is_no_toml_leaves_nothing_to_count(approved: Home) -> None:
    (approved.folder / "site.toml").write_text("name = 'CANARY-8371")
    seen = check(approved)
    assert "patients" not in seen
    (problem,) = check_lines(seen)
    assert "site.toml: cannot be read as TOML" in problem
    assert "CANARY" not in problem


def test_rows_of_strangers_and_missing_cells_are_told_in_numbers(
    approved: Home, hospital: "Hospital"
) -> None:
    hospital.site.rna.loc[[1, 2], "patient"] = ["x1", "x2"]
    hospital.site.rna.loc[3, ["G1", "G2"]] = None
    hospital.site.rna.loc[4, "G1"] = None
    hospital.write()
    (line,) = [line for line in check_lines(check(approved)) if line.startswith("  rna:")]
    assert line == "  rna: 9 patients, 6% of their cells missing; 2 rows without outcomes are left out"


def test_what_the_app_would_refuse_is_a_problem_of_a_sound_cohort(
    approved: Home, hospital: "Hospital"
) -> None:
    hospital.site.site["policy"] = {"minimum_cohort": 13}
    hospital.write()
    (problem,) = check(approved)["problems"]
    assert "smaller than the hospital's policy" in problem
    hospital.site.site["policy"] = {"minimum_cohort": 12}
    hospital.write()
    assert check(approved)["problems"] == []
    hospital.site.site["policy"] = {"require_dp": True}
    hospital.write()
    (problem,) = check(approved)["problems"]
    assert "lets a coordinator choose patients" in problem


def test_nothing_approved_or_changed_since_is_said(prepared: Home, proposal: Path, approved: Home) -> None:
    save(load(approved.agreement).changed({"training.rounds": "7"}), approved.agreement)
    with pytest.raises(InputError, match="is not the file that was approved; approve it again"):
        check(approved)
    approved.approval.unlink()
    with pytest.raises(InputError, match="run `consilium site approve` first"):
        check(approved)
