"""A family from outside trains on every engine, with privacy, through gate, ledger, receipts and approval."""

import hashlib
import json
import math
import shutil
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from flwr.app import Context, Message, RecordDict
from flwr.cli.build import build_fab_from_files

from client.commands.approve import approve, read_proposal
from client.commands.approve_text import in_words
from client.commands.check import check, check_lines
from client.doctor.examination import examine
from client.flower.internals import AppTask
from client.ledger.account import read_account
from client.receipts.verification import verify
from client.rounds.assembly import close_sites
from client.runtime.gatekeeper import Gatekeeper
from client.site_folder.keys import new_key, read_public_key
from client.site_folder.places import Home
from common.agreement.agreement import FILE_NAME
from common.agreement.bundle import PACKAGE, bundle_files
from common.agreement.loading import load_agreement
from common.errors import InputCode, InputError, RefusalCode, StateError
from common.families.registry import family_of
from common.messages.exchange import ModelRequest, RefusalReply, TrainReply
from common.plugins.plugin import Plugin
from server.app import server_app
from server.records.journal import RunRecord, read_journal
from server.records.result import load_result
from simulations.cohorts.cohort_folder import CohortFolder, Origin
from simulations.engines.flower_internals import acting_as, new_run
from simulations.engines.in_process import run_in_process
from tests.client.runtime.linked import AppInThread
from tests.plugins.fresh_process import consilium

PRIVACY = {
    "noise_multiplier": 1.0,
    "sampling_rate": 0.5,
    "expected_batch_size": 20.0,
    "steps": 3,
    "learning_rate": 0.5,
    "learn": "all",
}
Write = Callable[..., Path]


@pytest.fixture(autouse=True)
def _opened_anew() -> None:
    close_sites()


def federate(cohort: Path, out: Path, engine: Any, ray: str | None = None) -> dict[str, np.ndarray]:
    agreement = str(cohort / FILE_NAME)
    nodes = [
        {"site": str(path), "federation": agreement} for path in sorted(cohort.iterdir()) if path.is_dir()
    ]
    config: dict[str, bool | float | int | str] = {"federation": agreement, "out": str(out), "seed": 0}
    run_in_process(server_app(), "client.app:app", nodes, config, engine, workers=2, ray_address=ray)
    last = read_journal(out)[-1]
    assert isinstance(last, RunRecord)
    assert (last.status, last.rounds) == ("completed", 4)
    return dict(load_result(out).weights)


@pytest.mark.parametrize(
    ("engine", "privacy"),
    [
        ("serial", False),
        ("serial", True),
        ("processes", False),
        ("processes", True),
        pytest.param("ray", False, marks=pytest.mark.ray),
        pytest.param("ray", True, marks=[pytest.mark.ray, pytest.mark.slow]),
    ],
)
def test_it_trains_on_every_engine(
    write: Write, tmp_path: Path, engine: str, privacy: bool, request: pytest.FixtureRequest
) -> None:
    ray = request.getfixturevalue("ray_address") if engine == "ray" else None
    cohort = write(**({"privacy": PRIVACY} if privacy else {}))
    weights = federate(cohort, tmp_path / "out", engine, ray)
    slope = float(weights["line.weight"][0, 0])
    assert math.isfinite(slope)
    if not privacy:  # of standardised numbers
        assert slope == pytest.approx(1.0, abs=0.2)
    units = {read_account(site).unit for site in cohort.iterdir() if site.is_dir()}
    assert units == {"reading"}


def test_the_same_seed_gives_the_same_weights_on_every_engine(write: Write, tmp_path: Path) -> None:
    cohort, again = write(), tmp_path / "again"
    shutil.copytree(cohort, again)
    first = federate(cohort, tmp_path / "serial", "serial")
    second = federate(again, tmp_path / "processes", "processes")
    assert all(first[name].tobytes() == second[name].tobytes() for name in first)


class Hospital:
    """A hospital's site folder with its key, approved, whose launcher is asked as by Flower."""

    def __init__(self, cohort: Path) -> None:
        self.home = Home(cohort / "north")
        private, public = new_key()
        self.home.key.parent.mkdir()
        self.home.key.write_bytes(private)
        self.home.public_key.write_bytes(public)
        self.agreement = load_agreement(cohort / FILE_NAME)
        self.proposal = read_proposal(self.home, cohort)
        approve(self.home, self.proposal)
        self.run = new_run({})

    def train(self) -> RecordDict:
        family, agreement = family_of(self.agreement), self.agreement
        state = family.model(agreement, family.public(agreement, self.home.folder), 0).state_dict()
        content = ModelRequest(
            federation=agreement.digest,
            round=1,
            fold=-1,
            seed=0,
            weights={name: tensor.numpy() for name, tensor in state.items()},
            preprocessing=family.packed(family.declared(agreement)),
        ).to_record()
        bundle, _ = build_fab_from_files(dict(bundle_files(agreement)))
        with acting_as(self.run.run_id, 41, 1):
            request = Message(content, 41, "train")
            task = AppTask(request, bundle, hashlib.sha256(bundle).hexdigest(), version(PACKAGE))
            gatekeeper = Gatekeeper(self.home.folder, AppInThread(self.home))
            gatekeeper.admit(task)
            reply = gatekeeper.answer(request, Context(self.run.run_id, 41, {}, RecordDict(), {}))
            return gatekeeper.release(reply).content


def test_it_passes_approval_gate_ledger_and_receipts(write: Write) -> None:
    hospital = Hospital(write(privacy=PRIVACY))
    reply = TrainReply.from_record(hospital.train())
    assert (reply.site, set(reply.weights), reply.metrics) == ("north", {"line.weight", "line.bias"}, {})
    (receipt,) = verify(hospital.home.receipts, read_public_key(hospital.home.public_key)).receipts
    assert (receipt.verdict, receipt.message, receipt.unit) == ("passed", "TrainReply", "reading")
    assert receipt.epsilon_after is not None
    account = read_account(hospital.home.folder)
    assert (account.unit, account.runs[0].rounds, account.runs[0].uncommitted) == ("reading", 1, 0)


def test_a_change_of_the_plug_in_ends_what_was_approved(write: Write, site_packages: Path) -> None:
    hospital = Hospital(write())
    with (site_packages / "numberslab" / "__init__.py").open("a") as file:
        file.write("# changed\n")
    assert RefusalReply.from_record(hospital.train()).code is RefusalCode.NOT_APPROVED


def test_the_approval_shows_the_plug_in_and_the_unit(write: Write, numberslab: Plugin) -> None:
    lines = "\n".join(in_words(Hospital(write(privacy=PRIVACY)).proposal))
    assert f"{numberslab.package} {numberslab.version}" in lines
    assert numberslab.sha256 in lines
    assert "reading" in lines
    assert "patient" not in lines


def test_the_passport_is_the_familys(write: Write) -> None:
    seen = check(Hospital(write()).home)
    assert (seen["kind"], seen["units"], seen["problems"]) == ("numbers", 40, [])
    assert "north: 40 readings" in check_lines(seen)
    assert json.dumps(seen)


def test_the_cohort_is_described_in_the_familys_words(write: Write) -> None:
    cohort = write()
    ended = consilium("cohort", "describe", str(cohort))
    assert ended.returncode == 0, ended.stderr
    assert "north: 40 readings" in ended.stdout
    assert "3 sites, 120 readings, no problems" in ended.stdout
    assert "patient" not in ended.stdout
    told = consilium("cohort", "describe", str(cohort / "north"), "--json")
    assert [(site["site"], site["units"], site["problems"]) for site in json.loads(told.stdout)] == [
        ("north", 40, [])
    ]


def test_the_doctor_counts_in_the_familys_words(write: Write) -> None:
    (data,) = [finding for finding in examine(Hospital(write()).home) if finding.check == "data"]
    assert data.level == "ok"
    assert "40 readings" in data.message
    assert "patient" not in data.message


def test_a_table_of_the_cohort_counts_its_units(write: Write) -> None:
    cohort = write()
    table = CohortFolder("lines", cohort, Origin(str(cohort))).table()
    assert list(table.columns) == ["readings"]
    assert table["readings"].sum() == 120


def test_a_policy_that_names_tasks_of_another_family_declines(write: Write) -> None:
    cohort = write()
    site = cohort / "north" / "site.toml"
    site.write_text(site.read_text() + '[policy]\ntasks = ["survival"]\n')
    with pytest.raises(Exception) as refused:
        read_proposal(Home(cohort / "north"), cohort)
    assert getattr(refused.value, "code", None) is RefusalCode.DECLINED_TASK


def test_a_site_folder_of_patients_is_refused(write: Write) -> None:
    hospital = Hospital(write())
    approval = json.loads(hospital.home.approval.read_text()) | {"kind": "patients", "unit": "patient"}
    hospital.home.approval.write_text(json.dumps(approval))
    with pytest.raises(StateError):
        read_proposal(hospital.home, hospital.home.folder.parent)


def test_a_file_that_uses_the_kind_without_naming_the_plug_in_is_refused(write: Write) -> None:
    cohort = write(plugins=[])
    with pytest.raises(InputError) as unknown:
        load_agreement(cohort / FILE_NAME)
    assert unknown.value.code is InputCode.CONTENT_INVALID


def test_it_is_refused_even_where_another_file_has_brought_the_kind(write: Write) -> None:
    cohort = write()
    load_agreement(cohort / FILE_NAME)
    text = (cohort / FILE_NAME).read_text()
    (cohort / FILE_NAME).write_text(text[: text.index("[[plugins]]")])
    with pytest.raises(InputError) as refused:
        load_agreement(cohort / FILE_NAME)
    assert "numberslab" in refused.value.what
