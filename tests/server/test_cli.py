import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from common.errors import InputError
from server.cli import coordinator_app
from server.enrolment import Withdrawal
from server.home import Home, create
from server.journal import Journal, RoundRecord, RunRecord, SiteRecord


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return create(tmp_path / "home", "localhost", 9443, None)


def told(*arguments: object, code: int = 0) -> str:
    ended = CliRunner().invoke(coordinator_app, [str(each) for each in arguments])
    assert ended.exit_code == code, ended.output
    return ended.output


@pytest.mark.parametrize("running", [(), (41,)])
def test_a_withdrawal_says_what_becomes_of_a_run_in_progress(
    home: Home, monkeypatch: pytest.MonkeyPatch, running: tuple[int, ...]
) -> None:
    ended = Withdrawal(site="one", fingerprint="SHA256:x", node_id=5, since="then", until="now")
    monkeypatch.setattr("server.admission.withdraw_site", lambda home, site: ended)
    monkeypatch.setattr("server.control.runs_in_progress", lambda home: running)
    text = told("withdraw", home.folder, "one")
    assert "SHA256:x is refused from now on, under every name" in text
    assert ("A run is in progress: it goes on without this hospital" in text) is bool(running)
    assert json.loads(told("withdraw", home.folder, "one", "--json")) == {
        **ended.model_dump(),
        "run_in_progress": bool(running),
    }


def test_a_renewal_says_until_when_and_whether_it_is_served(home: Home) -> None:
    text = told("renew", home.folder)
    assert text.startswith("The new certificate holds until 20")
    assert "will be served once the coordinator is started" in text


def test_receipts_are_a_table_or_json(home: Home) -> None:
    run = RunRecord(status="started", federation="f", digest="d", strategy="fedavg", fold=-1, seed=0)
    sites = {"one": SiteRecord(patients={"patients": 3.0}, metrics={})}
    with Journal(home.runs / "20261121-101500") as journal:
        journal.write(run)
        journal.write(RoundRecord(kind="train", round=1, seconds=1.0, sites=sites, applied=True))
    assert "100.0%" in told("receipts", home.folder)
    found = json.loads(told("receipts", home.folder, "20261121-101500", "--json"))
    assert found["receipts"][0]["shares"] == {"patients": 1.0}
    assert "there is no run 7" in told("receipts", home.folder, "7", code=2)


def test_what_is_wrong_is_one_sentence_and_exit_code_2(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    assert told("withdraw", home.folder, "one", code=2).count("\n") == 1

    def refused(home: Home) -> bool:
        raise InputError("the certificate", "is not taken", "try again")

    monkeypatch.setattr("server.renewal.renew", refused)
    assert told("renew", home.folder, code=2) == "consilium: the certificate: is not taken; try again.\n"
