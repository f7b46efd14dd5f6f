"""Check of a cohort against the approved federation file: counts and problems, and no value of a patient."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client.commands.check import check, check_lines
from client.site_folder.places import Home
from common.agreement.federation import load, save
from common.errors import ApprovalError, InputCode, MissingFileError, RefusalCode

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def test_a_sound_cohort_is_counted(approved: Home) -> None:
    seen = check(approved)
    assert (seen["site"], seen["patients"], seen["problems"], seen["codes"]) == ("north", 12, [], [])
    assert seen["federation"] == load(approved.agreement).digest
    assert seen["tasks"]["response"] == {"labelled": 12, "0": 6, "1": 6}
    assert seen["tasks"]["survival"]["events"] == 6
    lines = check_lines(seen)
    assert "north" in lines[0]
    assert "12" in lines[0]
    assert not any(line.startswith("PROBLEM ") for line in lines)
    assert "CANARY" not in json.dumps(seen) + str(lines)


def test_every_problem_is_listed_and_none_quotes_a_patient(approved: Home, hospital: "Hospital") -> None:
    hospital.site.clinical.loc[0, "age"] = 98765.4321
    hospital.site.clinical.loc[0, "stage"] = "CANARYLEVEL"
    hospital.write()
    seen = check(approved)
    assert seen["codes"] == [InputCode.CONTENT_INVALID] * 2
    lines = check_lines(seen)
    assert sum(line.startswith("PROBLEM ") for line in lines) == 2
    assert lines[-1].startswith("PROBLEM "), "and no line that all is well"
    told = json.dumps(seen) + str(lines)
    assert not any(canary in told for canary in ("CANARY", "98765", "98,765"))


def test_a_device_that_is_not_there_is_a_problem(approved: Home, hospital: "Hospital") -> None:
    hospital.site.site["device"] = "cuda:999"
    hospital.write()
    seen = check(approved)
    assert seen["codes"] == [InputCode.MACHINE_UNFIT]
    assert seen["problems"][0].startswith(f"{approved.folder / 'site.toml'}, device: ")
    assert "cuda:999" in seen["problems"][0]


def test_a_site_file_that_is_no_toml_leaves_nothing_to_count(approved: Home) -> None:
    (approved.folder / "site.toml").write_text("name = 'CANARY-8371")
    seen = check(approved)
    assert ("patients" in seen, seen["codes"]) == (False, [InputCode.FILE_UNREADABLE])
    (problem,) = check_lines(seen)
    assert "site.toml" in problem
    assert "CANARY" not in problem


def test_rows_of_strangers_and_missing_cells_are_told_in_numbers(
    approved: Home, hospital: "Hospital"
) -> None:
    hospital.site.rna.loc[[1, 2], "patient"] = ["x1", "x2"]
    hospital.site.rna.loc[3, ["G1", "G2"]] = None
    hospital.site.rna.loc[4, "G1"] = None
    hospital.write()
    seen = check(approved)
    rna = seen["modalities"]["rna"]
    assert (rna["patients"], rna["unmatched"]) == (9, 2)
    assert seen["codes"] == [InputCode.CONTENT_INVALID], "two of twelve are no matter of a few"
    assert rna["missing"] == pytest.approx(1 / 18)
    (line,) = [line for line in check_lines(seen) if line.startswith("  rna:")]
    assert [part for part in line.split() if part[0].isdigit()] == ["9", "6%", "2"]


def test_what_the_app_would_refuse_is_a_problem_of_a_sound_cohort(
    approved: Home, hospital: "Hospital"
) -> None:
    hospital.site.site["policy"] = {"minimum_cohort": 13}
    hospital.write()
    assert check(approved)["codes"] == [RefusalCode.DECLINED_COHORT]
    hospital.site.site["policy"] = {"minimum_cohort": 12}
    hospital.write()
    assert check(approved)["problems"] == []
    hospital.site.site["policy"] = {"require_dp": True}
    hospital.write()
    seen = check(approved)
    assert seen["codes"] == [InputCode.CONTENT_INVALID]
    assert seen["problems"][0].startswith(f"{approved.folder / 'site.toml'}, fold: ")


def test_nothing_approved_or_changed_since_is_said(prepared: Home, proposal: Path, approved: Home) -> None:
    save(load(approved.agreement).changed({"training.rounds": "7"}), approved.agreement)
    with pytest.raises(ApprovalError) as changed:
        check(approved)
    assert changed.value.where == str(approved.agreement)
    approved.approval.unlink()
    with pytest.raises(MissingFileError) as missing:
        check(approved)
    assert missing.value.where == str(approved.approval)
    assert "consilium site approve" in missing.value.remedy
