"""Rules of intake are approved with the federation file, and count only as they were approved."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from client.commands.approve import approve, read_proposal
from client.commands.approve_intake import intake_in_words
from client.commands.check import check
from client.doctor.examination import CHECKS
from client.doctor.finding import FindingCode, run_checks
from client.site_folder.approved_intake import intake_digest, require_approved_intake
from client.site_folder.places import Home, read_approval
from common.errors import ApprovalError, InputCode, MissingFileError

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def declare(hospital: "Hospital", **rules: Any) -> None:
    hospital.site.site["intake"] = rules
    hospital.write()


def test_changed_rules_need_approval_again(approved: Home, proposal: Path, hospital: "Hospital") -> None:
    require_approved_intake(approved, read_approval(approved))
    assert list(intake_in_words(approved)) == []
    declare(hospital, missing=["unk"], clinical={"columns": {"crp": {"factor": 10}}})
    with pytest.raises(ApprovalError, match="approve the federation file again"):
        require_approved_intake(approved, read_approval(approved))
    assert check(approved)["codes"] == [InputCode.NOT_APPROVED]
    (finding,) = [
        finding
        for finding in run_checks([("federation", dict(CHECKS)["federation"])], approved)
        if finding.check == "federation"
    ]
    assert finding.code == FindingCode.INTAKE_CHANGED
    said = "\n".join(intake_in_words(approved))
    assert intake_digest(approved.folder) in said
    assert "factor = 10" in said
    assert "NOT those that you approved before" in said
    done = approve(approved, read_proposal(approved, proposal))
    assert done.intake == intake_digest(approved.folder)
    assert check(approved)["problems"] == []
    assert "NOT" not in "\n".join(intake_in_words(approved))


def test_rules_that_change_while_they_are_shown_are_not_approved(
    approved: Home, proposal: Path, hospital: "Hospital"
) -> None:
    shown = read_proposal(approved, proposal)
    declare(hospital, missing=["unk"])
    with pytest.raises(ApprovalError, match="while it was shown"):
        approve(approved, shown)
    assert read_approval(approved).intake == ""


def test_a_file_of_a_rule_that_is_gone_is_named(approved: Home, hospital: "Hospital") -> None:
    declare(hospital, rna={"genes": {"names": "names.csv"}})
    with pytest.raises(MissingFileError):
        intake_digest(approved.folder)
    (approved.folder / "names.csv").write_text("a,b\n")
    assert len(intake_digest(approved.folder)) == 64
