import json
from pathlib import Path

import pytest
from click.testing import Result as Ended
from typer.testing import CliRunner

from common.errors import InputError
from common.processes.supervision_state import birth_of
from server.cli import coordinator_app
from server.home.places import CoordinatorHome, create_home, open_home
from server.participants.enrolment import Enrolment, Withdrawal
from server.records.journal import Journal, RoundRecord, RunRecord, SiteRecord
from tests.full_disk import ends_on_full_disks
from tests.leftover import left_running


@pytest.fixture
def home(tmp_path: Path) -> CoordinatorHome:
    return create_home(tmp_path / "home", "localhost", 9443, None)


def told(*arguments: object, code: int = 0) -> str:
    ended = CliRunner().invoke(coordinator_app, [str(each) for each in arguments])
    assert ended.exit_code == code, ended.output
    return ended.output


def test_init_and_renew_name_the_file_for_which_a_disk_has_no_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "home"

    def command(*arguments: str) -> Ended:
        return CliRunner().invoke(coordinator_app, [arguments[0], str(folder), *arguments[1:]])

    for _ in ends_on_full_disks(monkeypatch, tmp_path, lambda: command("init", "--host", "localhost")):
        assert not list(tmp_path.glob(".home-*"))
        assert not folder.exists()
    before = open_home(folder).certificate.read_bytes()
    assert list(ends_on_full_disks(monkeypatch, folder, lambda: command("renew")))
    assert open_home(folder).certificate.read_bytes() != before


@pytest.mark.parametrize("running", [(), (41,)])
def test_a_withdrawal_says_what_becomes_of_a_run_in_progress(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch, running: tuple[int, ...]
) -> None:
    ended = Withdrawal(site="one", fingerprint="SHA256:x", node_id=5, since="then", until="now")
    monkeypatch.setattr("server.commands.enrol.withdraw_site", lambda home, site: ended)
    monkeypatch.setattr("server.services.superlink.runs_in_progress", lambda home: running)
    text = told("withdraw", home.folder, "one")
    assert "SHA256:x is refused from now on, under every name" in text
    assert ("A run is in progress: it goes on without this hospital" in text) is bool(running)
    assert json.loads(told("withdraw", home.folder, "one", "--json")) == {
        **ended.model_dump(),
        "run_in_progress": bool(running),
    }


def test_a_renewal_says_until_when_and_whether_it_is_served(home: CoordinatorHome) -> None:
    text = told("renew", home.folder)
    assert text.startswith("The new certificate holds until 20")
    assert "will be served once the coordinator is started" in text


def test_receipts_are_a_table_or_json(home: CoordinatorHome) -> None:
    run = RunRecord(status="started", federation="f", digest="d", strategy="fedavg", fold=-1, seed=0)
    sites = {"one": SiteRecord(patients={"patients": 3.0}, metrics={})}
    with Journal(home.runs / "20261121-101500") as journal:
        journal.write(run)
        journal.write(RoundRecord(kind="train", round=1, seconds=1.0, sites=sites, applied=True))
    assert "100.0%" in told("receipts", home.folder)
    found = json.loads(told("receipts", home.folder, "20261121-101500", "--json"))
    assert found["receipts"][0]["shares"] == {"patients": 1.0}
    assert "there is no run 7" in told("receipts", home.folder, "7", code=2)


def test_init_says_what_hospitals_need_and_writes_nothing_over(tmp_path: Path) -> None:
    made = ("init", tmp_path / "new", "--host", "hub.example.org", "--port", 9444)
    text = told(*made)
    fresh = open_home(tmp_path / "new")
    assert f"Every hospital needs {fresh.authority} and the folder {fresh.agreement}" in text
    assert "the address hub.example.org:9444" in text
    assert "PRIVATE KEY" not in text
    assert told(*made, code=2).count("\n") == 1
    found = json.loads(told("init", tmp_path / "other", "--host", "hub.example.org", "--json"))
    assert found["address"] == "hub.example.org:9443"
    assert Path(found["authority"]).is_file()


@pytest.mark.parametrize("host", ["2001:db8::1", "[2001:DB8::1]", "::1", "fd00::"])
def test_an_ipv6_address_is_told_as_hospitals_have_to_write_it(tmp_path: Path, host: str) -> None:
    found = json.loads(told("init", tmp_path / "new", "--host", host, "--json"))
    assert found["address"] == f"[{host.strip('[]').lower()}]:9443"
    assert found["address"] in told("init", tmp_path / "other", "--host", host)
    assert json.loads(told("status", tmp_path / "new", "--json"))["address"] == found["address"]


WRONG_HOSTS = (
    "two words",
    "0.0.0.0",
    "::",
    "256.1.1.1",
    "fl.example.org:9443",
    "https://fl.example.org",
    "fe80::1%eth0",
)


@pytest.mark.parametrize(
    "wrong", [("--port", 0), ("--port", 65536), *(("--host", host) for host in WRONG_HOSTS)]
)
def test_init_refuses_what_nobody_could_dial(tmp_path: Path, wrong: tuple[str, object]) -> None:
    told("init", tmp_path / "new", "--host", "hub.example.org", *wrong, code=2)
    assert not (tmp_path / "new").exists()


def test_a_coordinator_that_does_not_run_is_said_by_every_command(home: CoordinatorHome) -> None:
    assert told("stop", home.folder) == "It does not run.\n"
    assert json.loads(told("stop", home.folder, "--json")) == {"stopped": False, "leftovers": []}
    assert "not running" in told("status", home.folder)
    assert json.loads(told("status", home.folder, "--json"))["running"] is False
    assert told("run", home.folder, code=2).count("\n") == 1
    assert list(home.runs.glob("*")) == []


@pytest.mark.parametrize("command", ["start", "stop", "status", "logs", "renew", "receipts", "run"])
def test_a_folder_that_is_no_home_is_one_sentence(tmp_path: Path, command: str) -> None:
    text = told(command, tmp_path, code=2)
    assert text.count("\n") == 1
    assert text.startswith(f"consilium: {tmp_path}")


def test_the_last_lines_of_the_logs_are_shown(home: CoordinatorHome) -> None:
    home.logs.mkdir(exist_ok=True)
    (home.logs / "superlink.log").write_bytes(
        b"".join(b"line %d\n" % number for number in range(99)) + b"\xff\n"
    )
    assert told("logs", home.folder, "superlink", "--lines", 2) == "line 98\n\ufffd\n"
    every = told("logs", home.folder, "--lines", 1)
    assert every == "== superlink\n\ufffd\n== superexec\n== proxy\n"
    found = json.loads(told("logs", home.folder, "--json"))
    assert (len(found["superlink"]), found["proxy"]) == (50, [])
    assert "name one of superlink, superexec, proxy" in told("logs", home.folder, "database", code=2)
    told("logs", home.folder, "--lines", 0, code=2)


def test_an_enrolment_tells_the_fingerprint_that_is_compared_by_telephone(
    home: CoordinatorHome, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    enrolment = Enrolment(fingerprint="SHA256:x", node_id=5, since="now")
    monkeypatch.setattr("server.commands.enrol.enrol_site", lambda home, site, key: enrolment)
    asked = ("enrol", home.folder, "St. Elsewhere", tmp_path / "node_key.pub")
    assert told(*asked) == "Enrolled St. Elsewhere with the key SHA256:x.\n"
    assert json.loads(told(*asked, "--json")) == {
        "site": "St. Elsewhere",
        **enrolment.model_dump(exclude={"public_key"}),
    }


@pytest.mark.parametrize("code", [0, 1, 3, 130])
def test_a_run_ends_with_its_own_exit_code(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    asked: list[tuple[Path, bool]] = []

    def follow(home: CoordinatorHome, agreement: Path, as_json: bool, detach: bool) -> int:
        asked.append((agreement, as_json))
        return code

    monkeypatch.setattr("server.commands.run.run_on_hospitals", follow)
    told("run", home.folder, code=code)
    told("run", home.folder, home.folder / "other", "--json", code=code)
    assert asked == [(home.agreement, False), (home.folder / "other", True)]


def test_what_is_wrong_is_one_sentence_and_exit_code_2(
    home: CoordinatorHome, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert told("withdraw", home.folder, "one", code=2).count("\n") == 1

    def refused(home: CoordinatorHome) -> bool:
        raise InputError("the certificate", "is not taken", "try again")

    monkeypatch.setattr("server.commands.renew.renew", refused)
    assert told("renew", home.folder, code=2) == "consilium: the certificate: is not taken; try again.\n"


def test_what_a_killed_supervisor_left_running_is_told_and_ended(home: CoordinatorHome) -> None:
    with left_running(home.services, "superexec") as pid:
        still = f"still run (superexec as process {pid}): `consilium coordinator stop` ends them"
        assert still in told("status", home.folder)
        assert json.loads(told("status", home.folder, "--json"))["leftovers"] == {"superexec": pid}
        wanted = "The supervisor had been killed; ended what it had left running: superexec.\n"
        assert told("stop", home.folder) == wanted
        assert birth_of(pid) is None
        assert told("stop", home.folder) == "It does not run.\n"
    with left_running(home.services, "superexec"):
        found = json.loads(told("stop", home.folder, "--json"))
        assert found == {"stopped": True, "leftovers": ["superexec"]}
