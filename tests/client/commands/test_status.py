"""State of a site: services, agreement and receipts, and no value of a patient."""

import os

import pytest

from client.commands.status import SiteStatus, status, status_lines
from client.ledger.ledger import Ledger
from client.runtime.services import SUPEREXEC, SUPERNODE, state_file
from client.site_folder.keys import read_public_key
from client.site_folder.places import Home
from common.agreement.federation import load
from common.files import write_whole
from common.node_keys import fingerprint
from common.processes.supervision_state import ServiceState, State, birth_of


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
def test_services_are_told_apart(approved: Home, answering: bool) -> None:
    services = {
        SUPERNODE: ServiceState(pid=4711, restarts=2),
        SUPEREXEC: ServiceState(pid=None, last_exit=-9, restarts=3),
    }
    birth = birth_of(os.getpid())
    assert birth is not None
    supervisor = State(pid=os.getpid(), birth=birth, services=services)
    write_whole(state_file(approved), supervisor.model_dump_json().encode())
    found = status(approved, answers=lambda *_: answering)
    assert SiteStatus.model_validate_json(found.model_dump_json()) == found
    assert (found.running, found.answering) == (True, answering)
    head, _, federation, runs, node, executor, _ = status_lines(found)
    assert ": running, node key SHA256:" in head
    assert load(approved.agreement).digest[:10] in federation
    assert (found.runs, found.maximum_runs) == (0, 1000)
    assert "0 of 1000" in runs
    silent = "" if answering else ", its port does not answer yet"
    assert node == f"  supernode: process 4711, 2 restarts{silent}"
    assert executor == "  superexec: ended with -9, starts again soon, 3 restarts"


def test_refused_requests_are_told_once_there_are_some(approved: Home) -> None:
    assert not any("refused requests" in line for line in status_lines(status(approved)))
    with Ledger(approved.folder) as ledger:
        ledger.refuse(load(approved.agreement).digest, 1000)
    found = status(approved)
    assert (found.refusals, found.maximum_refusals) == (1, 1000)
    assert any("refused requests: 1 of 1000" in line for line in status_lines(found))
