"""A coordinator and three hospitals as they run: separate processes and folders, TLS on loopback through nginx."""

import json
import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import tomli_w

from client.site_folder import places as site_home
from common.agreement.agreement import FILE_NAME
from common.agreement.bundle import PACKAGE, RUN
from common.agreement.loading import load_agreement
from common.assessment.part import questions_of
from common.processes.supervision_state import birth_of
from consilium import load_model
from server.home import places as coordinator_home
from server.records.journal import RoundRecord, RunRecord, read_journal
from server.records.result import WEIGHTS, load_result
from server.services.intake import ALLOWANCE
from server.services.superlink import run_status, submit
from tests.system.processes import (
    PATIENCE_S,
    connected,
    consilium,
    coordinator,
    join,
    processes_of,
    receipts,
    running_any_bundle,
    status,
    stop,
    taking_part,
    until,
    without_folds,
)
from tests.system.signs import files_with, number_sign, text_sign

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("nginx")]
NUMBERS = (1, 2, 3)
FOREIGN = "foreign"
WITH_POLICY, WITH_CANARY = 1, 3
POLICY = "[policy]\nminimum_cohort = 20\nmaximum_update_norm = 1000.0\n"

INTRUDING_CLIENT = """\
from pathlib import Path

from flwr.clientapp import ClientApp

Path({marker!r}).write_text("imported")
app = ClientApp()


@app.train()
def train(message, context):
    Path({marker!r}).write_text("called")
    raise RuntimeError
"""
INTRUDING_SERVER = """\
import json
from pathlib import Path

from flwr.app import Message, RecordDict
from flwr.serverapp import ServerApp

app = ServerApp()


@app.main()
def main(grid, context):
    nodes = list(grid.get_node_ids())
    asked = [Message(RecordDict(), dst_node_id=node, message_type="train") for node in nodes]
    replies = list(grid.send_and_receive(asked, timeout=240))
    told = [
        "error" if reply.has_error() else {name: dict(one) for name, one in reply.content.config_records.items()}
        for reply in replies
    ]
    Path(context.run_config["report"]).write_text(json.dumps(told, default=str))
"""


@dataclass(frozen=True)
class Hospital:
    """Record of a hospital after everything was stopped.

    Attributes:
        home: its folder.
        output: the folder of what `site start` printed.
        running: `site status --json` while it took part.
        births: what told its processes from others then, by process number.
        stopped: the same after `site stop`.
        left: its processes after that.
        ended: how `site start` exited.
    """

    home: site_home.Home
    output: Path
    running: dict[str, Any]
    births: dict[int, str | None]
    stopped: dict[str, Any]
    left: list[int]
    ended: int | None

    def receipts(self) -> list[dict[str, Any]]:
        """Receipts, as the hospital prints them."""
        return receipts(self.home)


@dataclass(frozen=True)
class Deployment:
    """Files of a deployment after its run.

    Attributes:
        home: the coordinator's folder.
        hospitals: by name.
        told: what `coordinator run` printed; it exited with 0.
        out: the run's folder.
        foreign: Flower's number of a run whose bundle has code.
        answers: what that run's own server was answered.
        marker: what that code would have written.
    """

    home: coordinator_home.CoordinatorHome
    hospitals: dict[str, Hospital]
    told: str
    out: Path
    foreign: int
    answers: list[Any]
    marker: Path


def intrude(home: coordinator_home.CoordinatorHome, folder: Path) -> tuple[int, list[Any], Path]:
    """Submit a bundle that calls itself ours and has code; (Flower's number of the run, answers, marker).

    The coordinator itself runs none of it, so that its launcher is put aside to get as far as the hospitals.
    """
    marker, report, config = folder / "marker", folder / "report.json", folder / "config.toml"
    code = folder / "project" / "intruder"
    code.mkdir(parents=True)
    (code / "__init__.py").write_text("")
    (code / "client.py").write_text(INTRUDING_CLIENT.format(marker=str(marker)))
    (code / "server.py").write_text(INTRUDING_SERVER)
    components = {"serverapp": "intruder.server:app", "clientapp": "intruder.client:app"}
    app = {"publisher": PACKAGE, "components": components, "config": {"report": "", RUN: ""}}
    project = {"name": PACKAGE, "version": version(PACKAGE), "license": "Apache-2.0", "dependencies": []}
    descriptor = {"project": project, "tool": {"flwr": {"app": app}}}
    (code.parent / "pyproject.toml").write_text(tomli_w.dumps(descriptor))
    config.write_text(tomli_w.dumps({"report": str(report), RUN: FOREIGN}))
    asking = home.runs / FOREIGN
    asking.mkdir()
    (asking / ALLOWANCE).write_text(f"{10**8}")  # as our ServerApp would, in whose place the intruder's runs
    refused = submit(home, code.parent, config)
    until(lambda: run_status(home, refused) == "finished:failed", "it is not refused", PATIENCE_S)
    assert not report.exists()
    with running_any_bundle(home):
        run = submit(home, code.parent, config)
        until(
            lambda: run_status(home, run).startswith("finished"), "the foreign run does not end", PATIENCE_S
        )
    shutil.rmtree(asking)
    assert report.exists(), consilium("coordinator", "logs", home.folder)
    answers: list[Any] = json.loads(report.read_text())
    return run, answers, marker


def holding(folder: Path, canary: Any) -> dict[str, set[str]]:
    """The files of a folder in which the canary is seen."""
    signs = {"patient": text_sign(canary.name), "value": number_sign(float(canary.value))}
    return files_with(signs, folder)


@pytest.fixture(scope="module")
def deployment(
    written_cohort: Path, tmp_path_factory: pytest.TempPathFactory, canary: Any
) -> Iterator[Deployment]:
    """A run with three hospitals, a foreign run, and everything stopped again."""
    root = tmp_path_factory.mktemp("hospitals")
    shutil.copytree(written_cohort, root / "cohort")
    folders = {number: root / f"at-{number}" for number in NUMBERS}
    for number, folder in folders.items():
        (root / "cohort" / f"hospital-{number}").rename(folder)
    canary.plant(folders[WITH_CANARY] / "imaging.csv", "image_1", valid=True)
    without_folds(folders[WITH_POLICY], POLICY)

    hospitals = {}
    with coordinator(root / "home", "--federation", root / "cohort") as home, ExitStack() as started:
        users = {number: root / f"user-{number}" for number in NUMBERS}
        names = {number: f"hospital {number}" for number in NUMBERS}
        sites = {number: join(home, names[number], folder) for number, folder in folders.items()}
        processes = {
            number: started.enter_context(taking_part(site, users[number])) for number, site in sites.items()
        }
        assert connected(home) == set(names.values())
        told = consilium("coordinator", "run", home.folder)
        (out,) = home.runs.iterdir()
        (root / "intruder").mkdir()
        foreign, answers, marker = intrude(home, root / "intruder")
        for number, site in sites.items():
            running = status(site)
            found = [*processes_of(site.folder), *processes_of(users[number])]
            births = {pid: birth_of(pid) for pid in found}
            ended = stop(site, processes[number])
            left = [pid for pid, birth in births.items() if birth is not None and birth_of(pid) == birth]
            left += [*processes_of(site.folder), *processes_of(users[number])]
            output = users[number] / "output"
            hospitals[names[number]] = Hospital(site, output, running, births, status(site), left, ended)
    until(lambda: processes_of(root) == [], "processes are left")
    yield Deployment(home, hospitals, told, out, foreign, answers, marker)
    assert processes_of(root) == []


def test_the_run_completes_with_every_hospital(deployment: Deployment) -> None:
    assert "3 of 3 hospitals take part" in deployment.told
    journal = read_journal(deployment.out)
    closed = journal[-1]
    assert isinstance(closed, RunRecord)
    assert (closed.status, closed.rounds, closed.left_out) == ("completed", 2, ())
    assert set(closed.sites) == set(deployment.hospitals)
    rounds = [record for record in journal if isinstance(record, RoundRecord)]
    assert [(one.kind, one.round) for one in rounds] == [("train", 1), ("train", 2), ("evaluate", 3)]
    assert all(one.applied and one.sites.keys() == deployment.hospitals.keys() for one in rounds)


def test_the_weights_are_kept(deployment: Deployment) -> None:
    assert (deployment.out / WEIGHTS).is_file()
    assert load_result(deployment.out).weights


def test_every_hospital_has_signed_receipts_of_all_that_left(deployment: Deployment) -> None:
    questions = len(questions_of(load_agreement(deployment.out / FILE_NAME)))
    assert questions > 0
    for name, hospital in deployment.hospitals.items():
        home = hospital.home
        verified = consilium("receipts", "verify", home.receipts, "--key", home.public_key)
        assert f"{5 + questions} receipts: chain, signatures and end are whole." in verified, name
        ours = [one for one in hospital.receipts() if one["run"] != str(deployment.foreign)]
        assert [(one["message"], one["round"], one["verdict"]) for one in ours] == [
            ("StatisticsReply", None, "passed"),
            ("TrainReply", 1, "passed"),
            ("TrainReply", 2, "passed"),
            ("EvaluateReply", 3, "passed"),
            *[("AssessmentReply", ours[-1]["round"], "passed")] * questions,
        ], name


def test_the_coordinators_receipts_name_the_same_messages(deployment: Deployment) -> None:
    told = json.loads(
        consilium("coordinator", "receipts", deployment.home.folder, deployment.out.name, "--json")
    )
    came = {(one["hospital"], one["sha256"]) for part in ("receipts", "assessment") for one in told[part]}
    left = {
        (name, one["sha256"])
        for name, hospital in deployment.hospitals.items()
        for one in hospital.receipts()
        if one["message"] in ("TrainReply", "EvaluateReply", "AssessmentReply")
    }
    assert came == left
    questions = len(questions_of(load_agreement(deployment.out / FILE_NAME)))
    assert len(came) == (3 + questions) * len(NUMBERS)


def test_receipts_do_not_verify_with_the_key_of_another(deployment: Deployment) -> None:
    first, second, _ = (hospital.home for hospital in deployment.hospitals.values())
    told = consilium("receipts", "verify", first.receipts, "--key", second.public_key, code=2)
    assert "not signed by this key" in told


def test_a_bundle_with_code_is_refused_everywhere_and_never_runs(deployment: Deployment) -> None:
    assert len(deployment.answers) == len(NUMBERS)
    assert all("bundle-foreign" in json.dumps(answer) for answer in deployment.answers)
    for hospital in deployment.hospitals.values():
        theirs = [one for one in hospital.receipts() if one["run"] == str(deployment.foreign)]
        assert [(one["verdict"], one["reason"]) for one in theirs] == [("refused", "bundle-foreign")]
    assert not deployment.marker.exists()


def test_no_patient_is_at_the_coordinator_or_in_a_log(deployment: Deployment, canary: Any) -> None:
    planted = deployment.hospitals[f"hospital {WITH_CANARY}"].home
    assert holding(planted.folder, canary)["imaging.csv"] == {"patient", "value"}
    assert holding(deployment.home.folder, canary) == {}
    assert not any(sign in deployment.told for sign in (canary.name, "98765", "98,765"))
    for hospital in deployment.hospitals.values():
        assert holding(hospital.home.logs, canary) == {}
        assert holding(hospital.output, canary) == {}
        assert holding(hospital.home.receipts.parent, canary) == {}


def test_status_tells_of_a_hospital_and_stop_ends_it(deployment: Deployment) -> None:
    for name, hospital in deployment.hospitals.items():
        running, stopped = hospital.running, hospital.stopped
        assert (running["site"], running["running"], running["answering"]) == (name, True, True)
        left = 5 + len(questions_of(load_agreement(deployment.out / FILE_NAME)))
        assert (running["receipts"], stopped["receipts"]) == (left, left)
        pids = {service["pid"] for service in running["services"].values()}
        assert set(running["services"]) == {"supernode", "superexec"}
        assert pids <= set(hospital.births)
        assert (stopped["running"], stopped["services"]) == (False, {})
        assert (hospital.left, hospital.ended) == ([], 0)


def test_the_model_comes_back_to_the_hospitals_and_predicts(
    deployment: Deployment, tmp_path: Path, canary: Any
) -> None:
    released, out = tmp_path / "model.zip", tmp_path / "forecasts.json"
    home = deployment.home
    assert "Released" in consilium(
        "coordinator", "release", home.folder, deployment.out.name, "--out", released
    )
    assert "every byte" in consilium("release", "verify", released, "--key", home.authority)
    assert not any(sign.encode() in released.read_bytes() for sign in (canary.name, "98765"))
    run = load_model(deployment.out)
    for number in (2, WITH_CANARY):
        site = deployment.hospitals[f"hospital {number}"].home.folder
        assert "In use: " in consilium("site", "adopt", site, released, "--yes")
        told = consilium("predict", site, site, "--json", "--out", out)
        assert canary.name not in told
        made = json.loads(out.read_text())
        assert len(made.pop("patients")) == 30
        assert made["version"] == f"{run.federation.name}-1"
        forecasts = run.predict(site).patients
        assert json.loads(out.read_text())["patients"] == [
            json.loads(each.model_dump_json()) for each in forecasts
        ]
