"""Commands of a hospital's engineer: make a site, approve, check tables, look at receipts."""

import json
import re
import shutil
import socket
import stat
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from click.testing import Result as Ended
from cryptography.hazmat.primitives.serialization import load_ssh_private_key, load_ssh_public_key
from typer.testing import CliRunner

from client.doctor.machine import other_users, permissions
from client.receipts.book import append_receipt
from client.receipts.receipt import Receipt
from client.runtime.local_port import DEFAULT, LOOPBACK
from client.runtime.services import state_file
from client.site_folder.accounts import require_separate, separate
from client.site_folder.keys import read_key
from client.site_folder.places import Home, read_approval, read_connection
from client.site_folder.site_file import parse_site_file
from common.agreement.federation import load
from common.processes.supervision_state import birth_of
from tests.full_disk import ends_on_full_disks
from tests.leftover import left_running

if TYPE_CHECKING:
    from tests.client.conftest import Hospital


def ask(*arguments: object, given: str | None = None) -> Ended:
    from consilium.command import app

    return CliRunner().invoke(app, [str(part) for part in arguments], input=given, terminal_width=200)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of an authority."""
    folder = tmp_path_factory.mktemp("authority")
    command = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 -subj /CN=test"
    subprocess.run(
        [*command.split(), "-keyout", "ca.key", "-out", "ca.crt"], cwd=folder, check=True, capture_output=True
    )
    return folder / "ca.crt"


def init(folder: Path, authority: Path, **changes: str) -> Ended:
    options = {"name": "north", "coordinator": "fl.example.org:9443", "ca": str(authority)} | changes
    return ask(
        "site", "init", folder, *(part for key, value in options.items() for part in (f"--{key}", value))
    )


def test_init_makes_a_site_that_flower_can_use(tmp_path: Path, authority: Path) -> None:
    site = tmp_path / "site"
    done = init(site, authority)
    assert done.exit_code == 0, done.output
    home = Home(site)
    load_ssh_private_key(home.key.read_bytes(), None)
    load_ssh_public_key(home.public_key.read_bytes())
    assert home.public_key.read_bytes().startswith(b"ecdsa-sha2-nistp384 ")
    assert stat.S_IMODE(home.key.stat().st_mode) == 0o600
    policy = parse_site_file(site).policy
    assert policy.demands_privacy
    assert policy.maximum_epsilon is not None
    assert policy.statistics == ("declared",)


@pytest.mark.parametrize("made", [None, 0o755, 0o2775])
def test_init_makes_a_folder_that_doctor_has_nothing_to_say_about(
    tmp_path: Path, authority: Path, made: int | None
) -> None:
    site = tmp_path / "site"
    if made is not None:
        site.mkdir()
        site.chmod(made)
    init(site, authority)
    (site / "outcomes.csv").write_text("patient\n")
    findings = [*other_users(Home(site)), *permissions(Home(site))]
    assert [finding.level for finding in findings] == ["ok", "ok"]


def test_init_makes_a_folder_that_two_accounts_can_share(
    tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONSILIUM_STATE", str(tmp_path / "state"))
    site = tmp_path / "site"
    init(site, authority)
    before = stat.S_IMODE(site.stat().st_mode)
    separate(Home(site), tmp_path / "app.sock")
    require_separate(Home(site))
    assert stat.S_IMODE(site.stat().st_mode) == before


def test_init_names_the_file_for_which_a_disk_has_no_room(
    tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = tmp_path / "site"
    assert len(list(ends_on_full_disks(monkeypatch, tmp_path, lambda: init(site, authority)))) > 3
    assert parse_site_file(site).name == "north"


def test_init_overwrites_nothing(tmp_path: Path, authority: Path) -> None:
    site = tmp_path / "site"
    init(site, authority)
    before = {path: path.read_bytes() for path in site.rglob("*") if path.is_file()}
    again = init(site, authority)
    assert again.exit_code == 0
    assert "Made" not in again.output
    file = site / "site.toml"
    spelt = init(tmp_path / "other", authority, name="Zu\u0308rich")
    assert spelt.exit_code == 0, spelt.output
    assert init(tmp_path / "other", authority, name="Z\u00fcrich ").exit_code == 0
    assert file.read_bytes() == before[file]
    for changed in ({"name": "south"}, {"coordinator": "other:1"}):
        done = init(site, authority, **changed)
        assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert {path: path.read_bytes() for path in site.rglob("*") if path.is_file()} == before


def test_init_keeps_the_port_that_is_there(tmp_path: Path, authority: Path) -> None:
    site = tmp_path / "site"
    done = init(site, authority, port="12345")
    assert (done.exit_code, "Local port: 12345" in done.output) == (0, True)
    assert read_connection(Home(site)).port == 12345
    assert init(site, authority).exit_code == 0
    assert init(site, authority, port="12345").exit_code == 0
    other = init(site, authority, port="12346")
    assert (other.exit_code, len(other.stderr.strip().splitlines())) == (2, 1)
    assert "another local port" in other.stderr
    assert "12345" in other.stderr
    assert "nothing is overwritten" in other.stderr
    assert read_connection(Home(site)).port == 12345


def test_init_says_why_a_port_is_not_the_default(
    tmp_path: Path, authority: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        with suppress(OSError):  # something on this machine listens there already
            taken.bind((LOOPBACK, DEFAULT))
            taken.listen()
        done = init(tmp_path / "site", authority)
        given = init(tmp_path / "other", authority, port=str(DEFAULT))
    chosen = read_connection(Home(tmp_path / "site")).port
    assert chosen > DEFAULT
    (reason,) = [line for line in done.output.splitlines() if str(chosen) in line]
    assert str(DEFAULT) in reason
    (warned,) = [line for line in given.output.splitlines() if str(DEFAULT) in line]
    assert warned.count(",") == 1, "the port, and that it is taken"
    assert read_connection(Home(tmp_path / "other")).port == DEFAULT


@pytest.mark.parametrize("port", ["80", "0", "65536"])
def test_init_wants_a_port_that_can_be_used(tmp_path: Path, authority: Path, port: str) -> None:
    done = init(tmp_path / "site", authority, port=port)
    assert (done.exit_code, "--port" in done.stderr) == (2, True)
    assert not (tmp_path / "site").exists()


@pytest.mark.parametrize("changed", [{"coordinator": "nowhere"}, {"coordinator": "x:99999"}, {"name": ""}])
def test_init_names_what_is_wrong(tmp_path: Path, authority: Path, changed: dict[str, str]) -> None:
    done = init(tmp_path / "site", authority, **changed)
    assert done.exit_code == 2
    assert f"--{next(iter(changed))}" in done.stderr
    assert not (tmp_path / "site").exists()


def test_init_wants_a_certificate(tmp_path: Path) -> None:
    (tmp_path / "ca.crt").write_text("nothing")
    done = init(tmp_path / "site", tmp_path / "ca.crt")
    assert done.exit_code == 2
    assert "certificate" in done.stderr


@pytest.fixture
def site(hospital: "Hospital", authority: Path) -> Path:
    """A site with tables, whose proposal lies in the folder above it."""
    done = init(hospital.folder, authority)
    assert done.exit_code == 0, done.output
    return Path(hospital.folder)


def test_without_a_yes_nothing_is_approved(site: Path, proposal: Path) -> None:
    done = ask("site", "approve", site, proposal, given="n\n")
    assert done.exit_code == 1
    assert not Home(site).approval.exists()
    done = ask("site", "approve", site, proposal, given="y\n")
    assert done.exit_code == 0
    assert "What leaves:" in done.output
    assert read_approval(Home(site)).federation in done.output


def test_what_the_policy_forbids_is_not_approved(site: Path, proposal: Path, hospital: "Hospital") -> None:
    hospital.site.site["policy"] = {"require_dp": True}
    hospital.write()
    done = ask("site", "approve", site, proposal, "--yes")
    assert done.exit_code == 2
    assert "differential privacy" in done.stderr
    assert not Home(site).approval.exists()


def test_check_prints_counts_and_no_values(site: Path, proposal: Path, hospital: "Hospital") -> None:
    ask("site", "approve", site, proposal, "--yes")
    done = ask("site", "check", site)
    assert done.exit_code == 0
    assert "north: 12 patients" in done.output
    assert "CANARY" not in done.output
    hospital.site.clinical.loc[0, "age"] = 98765.4321
    hospital.write()
    done = ask("site", "check", site, "--json")
    assert done.exit_code == 2
    assert json.loads(done.output)["codes"] == ["content-invalid"]
    assert "98765" not in done.output


def test_nothing_starts_without_an_approval(site: Path) -> None:
    done = ask("site", "start", site)
    assert done.exit_code == 2
    assert "site approve" in done.stderr
    assert ask("site", "stop", site).output == "The site does not run.\n"


def sent(site: Path, count: int) -> None:
    home = Home(site)
    for number in range(1, count + 1):
        receipt = Receipt(
            run="8",
            request="r",
            round=number,
            asked="train",
            message="TrainReply",
            verdict="passed",
            arrays={"weights/<b>evil</b>": (2, 3)},
            numbers={"metrics": {"training_loss": 0.5}},
            size_bytes=100,
            sha256="ab" * 32,
            update_norm=0.25,
            delta=1e-3,
            epsilon_before=0.1 * (number - 1),
            epsilon_after=0.1 * number,
        )
        append_receipt(home.receipts, receipt, read_key(home.key))


def test_receipts_are_printed_verified_and_written_as_a_page(site: Path, tmp_path: Path) -> None:
    assert "0 receipts" in ask("site", "receipts", site).output
    sent(site, 3)
    done = ask("site", "receipts", site)
    assert done.exit_code == 0
    assert "epsilon 0.200 -> 0.300" in done.output
    assert [one["number"] for one in json.loads(ask("site", "receipts", site, "--json").output)] == [1, 2, 3]
    page = tmp_path / "page.html"
    ask("site", "receipts", site, "--html", page)
    html = page.read_text()
    assert not re.search(r"https?://(?!www\.w3\.org/2000/svg)", html)
    assert "&lt;b&gt;evil" in html
    assert "0.200, 0.300" in html


def test_anyone_with_the_public_key_can_verify(site: Path, tmp_path: Path) -> None:
    sent(site, 3)
    home = Home(site)
    done = ask("receipts", "verify", home.receipts, "--key", home.public_key)
    assert done.exit_code == 0
    assert done.output.startswith("3 ")
    lines = home.receipts.read_bytes().splitlines(keepends=True)
    home.receipts.write_bytes(b"".join(lines[:-1]))
    done = ask("receipts", "verify", home.receipts, "--key", home.public_key)
    assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1)
    assert str(home.receipts) in done.stderr
    status = json.loads(ask("site", "status", site, "--json").output)
    assert status["receipts"] is None


def test_status_tells_of_a_site_that_does_not_run(site: Path, proposal: Path) -> None:
    ask("site", "approve", site, proposal, "--yes")
    sent(site, 1)
    found: dict[str, Any] = json.loads(ask("site", "status", site, "--json").output)
    assert (found["running"], found["services"], found["receipts"]) == (False, {}, 1)
    assert found["federation"] == load(Home(site).agreement).digest
    assert "not running" in ask("site", "status", site).output


def test_a_folder_that_is_no_site_is_named(tmp_path: Path) -> None:
    for command in ("status", "check", "start", "receipts"):
        done = ask("site", command, tmp_path)
        assert (done.exit_code, len(done.stderr.strip().splitlines())) == (2, 1), command


def test_what_a_killed_supervisor_left_running_is_told_and_ended(site: Path) -> None:
    with left_running(state_file(Home(site)), "supernode") as pid:
        still = f"its services still run (supernode as process {pid}): `consilium site stop` ends them"
        assert still in ask("site", "status", site).output
        assert json.loads(ask("site", "status", site, "--json").output)["leftovers"] == {"supernode": pid}
        done = ask("site", "rekey", site)
        assert (done.exit_code, "supernode" in done.stderr) == (2, True)
        wanted = "The supervisor had been killed; ended what it had left running: supernode.\n"
        assert ask("site", "stop", site).output == wanted
        assert birth_of(pid) is None
        assert ask("site", "stop", site).output == "The site does not run.\n"
    assert "still run" not in ask("site", "status", site).output


def test_receipts_that_were_removed_are_missed_by_every_command(site: Path) -> None:
    sent(site, 3)
    shutil.rmtree(Home(site).receipts.parent)
    done = ask("site", "receipts", site)
    assert done.exit_code == 2
    assert str(Home(site).receipts) in done.stderr
    assert json.loads(ask("site", "status", site, "--json").output)["receipts"] is None
    doctor = json.loads(ask("site", "doctor", site, "--json").output)
    assert [one["level"] for one in doctor if one["check"] == "receipts"] == ["fail"]
