"""Refusals of strange keys, bundles, and peers that would take over work, in a run that stays unharmed."""

import http.client
import re
import shutil
import ssl
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest
import tomli_w
from flwr.proto.runtime_pb2 import AcquireTaskRequest
from flwr.supercore.interceptors import RuntimeVersionHttpInterceptor, SuperExecAuthHttpInterceptor
from flwr.supercore.runtime import RuntimeHttpClient

from client.runtime.loopback import pair_of
from client.site_folder import places as site_home
from client.site_folder.site_file import parse_site_file
from common.agreement.bundle import RUN, bundle_files
from common.agreement.federation import FILE_NAME, Federation, load, save
from common.agreement.folder import copy_agreement
from common.errors import RefusalCode
from server.home import places as coordinator_home
from server.home.places import ENROLLED
from server.participants.countersignatures import write_countersignatures
from server.participants.enrolment import read_enrolled, write_enrolled
from server.records.dropped import DropReason
from server.records.journal import RunRecord, read_journal
from server.services import superlink as control
from server.services.intake import write_allowance
from tests.system.processes import (
    DEADLINE_S,
    PATIENCE_S,
    ask,
    consilium,
    coordinator,
    flower,
    join,
    lay_out,
    process,
    processes_of,
    receipts,
    running_any_bundle,
    stop,
    supernode,
    taking_part,
    until,
    write_key,
)

pytestmark = pytest.mark.usefixtures("nginx")
HONEST = ("hospital 1", "hospital 2")
LARGEST = 20 << 20
"""Bytes of a reply that a strange run may have."""
QUIET = {
    **{"FLWR_TELEMETRY_ENABLED": "0", "FLWR_DISABLE_UPDATE_CHECK": "1", "FLWR_LOG_LEVEL": "INFO"},
    "NO_PROXY": "127.0.0.1,localhost",
}
ACQUIRE = "/flwr.proto.Runtime/AcquireTask"
NOT_ACTIVATED = "Exit Code: 305 Failed to initialize the connection to the SuperLink. [code: 2004]"
OF_A_TASK = (
    *("pull-task-input", "push-task-output", "push-object", "pull-object", "push-messages", "pull-messages"),
    *("create-task", "get-nodes", "push-logs", "send-task-heartbeat", "confirm-message-received"),
)
"""Deeds of a process that was given a task."""


@dataclass(frozen=True)
class Place:
    """A coordinator that runs.

    Attributes:
        root: the folder of everything here.
        home: the coordinator's.
        earlier: a folder with another federation file, of the same hospitals.
    """

    root: Path
    home: coordinator_home.CoordinatorHome
    earlier: Path


@pytest.fixture(scope="module")
def place(written_cohort: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    root = tmp_path_factory.mktemp("refusals")
    cohort = lay_out(written_cohort, root, {number: f"at-{number}" for number in (1, 2, 3)}, rounds=1)
    earlier = root / "earlier"
    shutil.copytree(cohort, earlier)
    save(load(earlier / FILE_NAME).changed({"training.learning_rate": "0.02"}), earlier / FILE_NAME)
    with coordinator(root / "home", "--federation", cohort) as home:
        yield Place(root, home, earlier)
    until(lambda: processes_of(root) == [], "processes are left")


def test_a_key_that_is_not_enrolled_never_connects(place: Place, tmp_path: Path) -> None:
    write_key(site_home.Home(tmp_path).key)
    assert "400 Bad Request" in turned_away(place.home, tmp_path)
    assert control.connected(place.home) == {}


def turned_away(home: coordinator_home.CoordinatorHome, folder: Path) -> str:
    """Dial with the key in a folder, and be refused; what the SuperNode said."""
    log = folder / "supernode.log"
    with process(*supernode(home, site_home.Home(folder)), log=log, FLWR_HOME=str(folder), **QUIET) as node:
        assert node.wait(DEADLINE_S) != 0
    assert b"SuperNode ID" not in log.read_bytes()
    return " ".join(re.sub(r"\x1b\[\d+m", "", log.read_text()).split())


@pytest.mark.parametrize("secret", [None, "0" * 64], ids=["without", "wrong"])
def test_nobody_takes_the_servers_task_without_its_secret(
    place: Place, tmp_path: Path, secret: str | None
) -> None:
    log, before = place.home.logs / "superlink.log", unauthorised(place.home.logs / "superlink.log")
    address = f"127.0.0.1:{place.home.settings().internal_port}"
    command = superexec(address, tmp_path, secret, "--root-certificates", place.home.authority)
    with process(*command, log=tmp_path / "superexec.log", **QUIET) as intruder:
        intruder.wait(DEADLINE_S)  # Flower calls this a graceful end
    assert unauthorised(log) == before + 1


def superexec(address: str, folder: Path, secret: str | None, *more: object) -> tuple[object, ...]:
    """The command that fetches the tasks of a SuperLink or a SuperNode, and starts what does them."""
    command = (flower("flower-superexec"), "--runtime-api-address", address, *more)
    if secret is None:
        return command
    (folder / "secret").write_text(secret)
    return (*command, "--superexec-auth-secret-file", folder / "secret")


def unauthorised(log: Path) -> int:
    """Number of refusals of a task."""
    return log.read_bytes().count(b"SuperExec authentication failed for /flwr.proto.Runtime/AcquireTask")


def test_a_request_for_a_task_needs_the_secret_and_no_more(place: Place) -> None:
    home = place.home
    port, secret = home.settings().internal_port, home.superexec_secret.read_bytes()
    body = AcquireTaskRequest(supported_task_types=["flwr-serverapp"]).SerializeToString()
    assert ask(home, "POST", "/v1/runtime/acquire-task", body, port) == 401
    with RuntimeHttpClient.from_server_address(
        f"127.0.0.1:{port}",
        False,
        home.authority.read_bytes(),
        interceptors=[
            RuntimeVersionHttpInterceptor(component_name="SuperExec"),
            SuperExecAuthHttpInterceptor(master_secret=secret, protected_methods=[ACQUIRE]),
        ],
    ) as client:
        assert not client.AcquireTask(AcquireTaskRequest(supported_task_types=["flwr-serverapp"])).token


@pytest.mark.parametrize("verb", OF_A_TASK)
def test_a_peer_without_a_task_may_do_nothing_of_it(place: Place, verb: str) -> None:
    assert ask(place.home, "POST", f"/v1/runtime/{verb}", b"", place.home.settings().internal_port) == 401


@dataclass(frozen=True)
class Aftermath:
    """Record of a run with much beside it, after everything was stopped.

    Attributes:
        sites: the hospitals' folders by the name each key is enrolled under; hospital 3 calls itself hospital 2.
        told: what `coordinator run` printed; it exited with 0.
        closed: the last record of its journal.
        strange: the first record of the journals of runs that no hospital may follow, by what is wrong with them.
        numbers: Flower's numbers of those runs.
        thief: what a SuperNode with a stolen key said.
        online: nodes connected after that.
        nodes: of the hospitals.
        refused: how often a site refused its task to a process without its secret.
        statuses: of that site's answers to requests without a task.
    """

    sites: dict[str, site_home.Home]
    told: str
    closed: RunRecord
    strange: dict[str, RunRecord]
    numbers: set[str]
    thief: str
    online: frozenset[int]
    nodes: frozenset[int]
    refused: int
    statuses: dict[str, int]


@pytest.fixture(scope="module")
def aftermath(place: Place) -> Aftermath:
    """All that must not work is tried while three hospitals take part, and then a run is made."""
    home, root = place.home, place.root
    agreed = load(home.agreement / FILE_NAME)
    folders = {name: root / f"at-{name[-1]}" for name in (*HONEST, "hospital 3")}
    pose_as(folders["hospital 3"], "hospital 2")
    with ExitStack() as started:
        sites = {name: join(home, own_name(folder), folder, name) for name, folder in folders.items()}
        for name in HONEST:  # what they approved before; the newest approval holds
            consilium("site", "approve", sites[name].folder, place.earlier, "--yes")
            consilium("site", "approve", sites[name].folder, home.agreement, "--yes")
        running = {
            name: started.enter_context(taking_part(site, root / f"user-{name[-1]}"))
            for name, site in sites.items()
        }
        with running_any_bundle(home):
            submitted = {what: submit(place, what, *made) for what, made in strange(place, agreed).items()}
            thief = root / "thief"
            stolen = site_home.Home(thief).key
            stolen.parent.mkdir(parents=True)
            shutil.copy(sites["hospital 1"].key, stolen)
            said = turned_away(home, thief)
            online = frozenset(control.connected(home))
            port = site_home.read_connection(sites["hospital 1"]).port
            statuses = {verb: asked_at(port, verb) for verb in ("acquire-task", *OF_A_TASK)}
            trusted = ("--root-certificates", pair_of(sites["hospital 1"]).certificate)
            command = superexec(f"127.0.0.1:{port}", thief, "0" * 64, *trusted)
            with process(*command, log=thief / "superexec.log", **QUIET) as intruder:
                intruder.wait(DEADLINE_S)
            refused = unauthorised(sites["hospital 1"].logs / "supernode.log")
            until(
                lambda: all(
                    control.run_status(home, run).startswith("finished") for run in submitted.values()
                ),
                "the strange runs do not end",
                PATIENCE_S,
            )
        told = consilium("coordinator", "run", home.folder)
        for name, site in sites.items():
            assert stop(site, running[name]) == 0
    records = {what: read_journal(home.runs / what)[0] for what in submitted}
    ours = max(path for path in home.runs.iterdir() if path.name not in records)
    closed = read_journal(ours)[-1]
    assert isinstance(closed, RunRecord)
    return Aftermath(
        sites,
        told,
        closed,
        {what: record for what, record in records.items() if isinstance(record, RunRecord)},
        {str(run) for run in submitted.values()},
        said,
        online,
        frozenset(one.node_id for one in read_enrolled(home.enrolled).values()),
        refused,
        statuses,
    )


def asked_at(port: int, verb: str) -> int:
    """The status of a request to the port that a site's own processes use."""
    anyone = ssl.create_default_context()
    anyone.check_hostname, anyone.verify_mode = (
        False,
        ssl.CERT_NONE,
    )  # who attacks does not ask for a certificate
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=20, context=anyone)
    try:
        connection.request("POST", f"/v1/runtime/{verb}", b"", {"Content-Type": "application/protobuf"})
        return connection.getresponse().status
    finally:
        connection.close()


def pose_as(site: Path, name: str) -> None:
    """Put another hospital's name into a site file."""
    file = site / "site.toml"
    file.write_text(file.read_text().replace(own_name(site), name))


def own_name(site: Path) -> str:
    """Name that a site gives itself."""
    return parse_site_file(site).name


def strange(place: Place, agreed: Federation) -> dict[str, tuple[dict[str, bytes], Path]]:
    """(files of a bundle, folder of the federation file at the coordinator) of runs that nobody approved."""
    ours, earlier = bundle_files(agreed), bundle_files(load(place.earlier / FILE_NAME))
    described = ours["pyproject.toml"].replace(b"carries no code", b"carries no codes")
    listed = ours["pyproject.toml"].replace(b'"README.md"', b'"README.md", "more.py"')
    assert ours["pyproject.toml"] not in (described, listed)
    now = place.home.agreement
    return {
        "described": ({**ours, "pyproject.toml": described}, now),
        "enlarged": ({**ours, "pyproject.toml": listed, "more.py": b"raise SystemExit\n"}, now),
        "replayed": (earlier, place.earlier),
        "mismatched": (ours, place.earlier),
    }


def submit(place: Place, name: str, bundle: Mapping[str, bytes], agreement: Path) -> int:
    """Start a run of a bundle as `coordinator run` would, with the honest hospitals; Flower's number of it."""
    out = place.home.runs / name
    (out / "bundle").mkdir(parents=True)
    copy_agreement(agreement / FILE_NAME, out)
    honest = {name: one for name, one in read_enrolled(place.home.enrolled).items() if name in HONEST}
    write_enrolled(out / ENROLLED, honest)
    write_countersignatures(place.home, out, honest, [])
    write_allowance(out, LARGEST)  # as our ServerApp would, in whose place Flower's own runs
    for file, content in bundle.items():
        (out / "bundle" / file).write_bytes(content)
    (out / "run-config.toml").write_text(tomli_w.dumps({RUN: name}))
    return control.submit(place.home, out / "bundle", out / "run-config.toml")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("what", "code"),
    [
        ("described", RefusalCode.BUNDLE_FOREIGN),
        ("enlarged", RefusalCode.BUNDLE_FOREIGN),
        ("replayed", RefusalCode.FEDERATION_MISMATCH),
        ("mismatched", RefusalCode.FEDERATION_MISMATCH),
    ],
)
def test_what_was_not_approved_is_refused_by_every_hospital(
    aftermath: Aftermath, what: str, code: RefusalCode
) -> None:
    record = aftermath.strange[what]
    refusals = {(one.site, one.reason, one.code) for one in record.left_out if one.site in HONEST}
    assert refusals == {(name, DropReason.REFUSED, code.value) for name in HONEST}
    assert record.sites == ()


@pytest.mark.slow
def test_nothing_was_computed_for_what_was_refused(aftermath: Aftermath) -> None:
    for name in HONEST:
        theirs = [one for one in receipts(aftermath.sites[name]) if one["run"] in aftermath.numbers]
        assert [(one["message"], one["verdict"]) for one in theirs] == [("RefusalReply", "refused")] * 4


@pytest.mark.slow
def test_a_node_that_answers_with_another_hospitals_name_is_left_out(aftermath: Aftermath) -> None:
    (left,) = aftermath.closed.left_out
    assert (left.site, left.reason) == ("hospital 3", DropReason.WRONG_SITE)


@pytest.mark.slow
def test_a_stolen_key_does_not_connect_while_its_owner_does(aftermath: Aftermath) -> None:
    assert NOT_ACTIVATED in aftermath.thief
    assert aftermath.online == aftermath.nodes


@pytest.mark.slow
def test_nobody_takes_a_sites_task_without_its_secret(aftermath: Aftermath) -> None:
    assert aftermath.refused == 2  # of a SuperExec with another secret, and of a bare request
    assert aftermath.statuses == dict.fromkeys(("acquire-task", *OF_A_TASK), 401)


@pytest.mark.slow
def test_the_run_is_unharmed(aftermath: Aftermath) -> None:
    assert (aftermath.closed.status, aftermath.closed.sites) == ("completed", HONEST)
    assert "2 of 3 hospitals take part: hospital 1, hospital 2." in aftermath.told
    for name in HONEST:
        ours = [one for one in receipts(aftermath.sites[name]) if one["run"] not in aftermath.numbers]
        assert {one["verdict"] for one in ours} == {"passed"}
        messages = [one["message"] for one in ours]
        assert messages[:3] == ["StatisticsReply", "TrainReply", "EvaluateReply"]
        assert set(messages[3:]) == {"AssessmentReply"}
