"""What a hospital sees of its own cohort and its own site: counts, states and problems, and no value of a patient."""

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from client.commands import status as status_of
from client.commands.check import check, check_lines
from client.commands.status import Status, status, status_lines
from client.runtime.services import SUPEREXEC, SUPERNODE
from client.site_folder.keys import fingerprint, read_public_key
from client.site_folder.places import Home
from common.agreement.federation import load, save
from common.errors import InputError
from common.files import write_whole
from common.processes.supervision_state import ServiceState, State

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


def test_a_site_that_does_not_run(prepared: Home) -> None:
    found = status(prepared)
    assert found.fingerprint == fingerprint(read_public_key(prepared.public_key))
    assert (found.site, found.coordinator) == ("north", "fl.example.org:9443")
    assert (found.federation, found.running, found.answering, found.receipts) == (None, False, False, 0)
    told = "\n".join(status_lines(found))
    assert "north: not running" in told
    assert "nothing approved" in told
    assert "receipts: 0" in told


def test_a_spoilt_approval_or_record_does_not_hide_the_rest(approved: Home) -> None:
    approved.approval.write_text("{}")
    write_whole(approved.receipts, b"CANARY-8371\n")
    found = status(approved)
    assert (found.federation, found.receipts, found.last_message) == (None, None, None)
    told = "\n".join(status_lines(found))
    assert "receipts: NOT WHOLE" in told
    assert "CANARY" not in told


@pytest.mark.parametrize("answering", [False, True])
def test_services_are_told_apart(approved: Home, monkeypatch: pytest.MonkeyPatch, answering: bool) -> None:
    services = {
        SUPERNODE: ServiceState(pid=4711, restarts=2),
        SUPEREXEC: ServiceState(pid=None, last_exit=-9, restarts=3),
    }
    monkeypatch.setattr(status_of, "read_state", lambda path: State(pid=1, birth="now", services=services))
    monkeypatch.setattr(status_of, "answers", lambda *_: answering)
    found = status(approved)
    assert Status.model_validate_json(found.model_dump_json()) == found
    assert (found.running, found.answering) == (True, answering)
    head, _, federation, node, executor, _ = status_lines(found)
    assert ": running, node key SHA256:" in head
    assert load(approved.agreement).digest[:10] in federation
    silent = "" if answering else ", its port does not answer yet"
    assert node == f"  supernode: process 4711, 2 restarts{silent}"
    assert executor == "  superexec: ended with -9, starts again soon, 3 restarts"
