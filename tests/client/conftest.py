"""A site folder of twelve patients that a test changes before it is written, and the app asked about it."""

import logging
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pandas as pd
import pytest
import tomli_w
from flwr.app import ConfigRecord, Context, Message, RecordDict, UserConfig
from torch import Tensor

from client.app import app
from client.commands.approve import approve, read_proposal
from client.site_folder.keys import new_key
from client.site_folder.places import Connection, Home
from client.site_folder.policy import Limit
from common.agreement import kinds
from common.agreement.agreement import PATIENTS as PATIENTS_KIND
from common.agreement.federation import Federation, save
from common.agreement.modalities import Modality, Plausible
from common.agreement.prior_graph import PublicFile
from common.agreement.settings import Participant
from common.errors import RefusalCode
from common.files import write_whole
from common.messages.exchange import (
    ASSESSMENT,
    AssessmentRequest,
    EvaluateReply,
    ModelRequest,
    RefusalReply,
    StatisticsReply,
    StatisticsRequest,
    TrainReply,
)
from common.models.graphs import Prior
from common.models.registry import build_model
from common.patients.batch import PatientBatch
from common.patients.preprocessing import combine, declared, pack_preprocessing
from common.privacy.accounting import Release
from common.tasks.response import ResponseTask
from common.tasks.survival import SurvivalTask
from common.tasks.toxicity import ToxicityTask
from simulations.engines.flower_internals import (
    acting_as,
    acting_as_coordinator,
    deflate,
    inflate,
    name_message,
    new_run,
)
from tests.client.privacy.clipping_case import MakeBatch, MakeCase, build_case, patients_of_every_pattern

PATIENTS = 12
DECLARED = 200
"""Patients that the federation file allows the hospital."""


NO_LIMIT = Limit(None, 1e-3)
ROUND = Release(mechanism="training", noise_multiplier=8.0)
STATISTICS = Release(mechanism="statistics", noise_multiplier=20.0)


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in memory, where there is one: a kill spares the page cache, so a disk would only be slower."""
    shared = Path("/dev/shm")
    with TemporaryDirectory(dir=shared if shared.is_dir() else tmp_path) as folder:
        monkeypatch.setenv("CONSILIUM_STATE", str(Path(folder) / "state"))
        yield Path(folder)


@pytest.fixture
def small_federation() -> Federation:
    return Federation(
        name="test",
        modalities=(
            Modality(
                name="clinical",
                node="clinical",
                columns=("age", "crp"),
                categories={"stage": ("1", "2", "NA")},
                ranges={"age": Plausible(unit="years", low=0, high=120)},
            ),
            Modality(name="rna", node="gene", columns=("G1", "G2"), clip=(-5, 5), transform="signed_log"),
        ),
        tasks=(
            SurvivalTask(name="survival", time="months", event="died", unit="months", longest=600),
            ResponseTask(name="response", label="response", classes=("0", "1")),
            ToxicityTask(name="toxicity", labels=("skin", "gut")),
        ),
        participants=(Participant(name="north", patients=DECLARED),),
    )


class Site:
    """A site folder whose tables a test spoils before writing them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        patients = ["CANARY-8371", *(f"p{number}" for number in range(1, PATIENTS))]
        place = np.arange(PATIENTS)
        self.outcomes = pd.DataFrame(
            {
                "patient": patients,
                "months": 3.0 + place,
                "died": (place + 1) % 2,
                "response": place % 2,
                "skin": 0,
                "gut": 1,
                "fold": place % 3,
            }
        ).astype(object)
        self.clinical = pd.DataFrame(
            {"patient": patients, "age": 50.0 + place, "crp": 1.5 * place, "stage": ["1", "2", "NA"] * 4}
        ).astype(object)
        self.rna = pd.DataFrame({"patient": patients, "G1": place - 4.0, "G2": 1e6})
        self.site: dict[str, Any] = {
            "name": "north",
            "tables": {"outcomes": "outcomes.csv", "clinical": "clinical.csv", "rna": "rna.parquet"},
        }

    def write(self) -> Path:
        self.outcomes.to_csv(self.folder / "outcomes.csv", index=False)
        self.clinical.to_csv(self.folder / "clinical.csv", index=False)
        self.rna.to_parquet(self.folder / "rna.parquet", index=False)
        loose = {"maximum_runs": 1000, "maximum_refusals": 1000, "minimum_count": 1}
        policy = loose | self.site.get("policy", {})
        (self.folder / "site.toml").write_text(tomli_w.dumps(self.site | {"policy": policy}))
        return self.folder


@pytest.fixture
def site_folder(tmp_path: Path) -> Site:
    return Site(tmp_path)


CANARIES = ("CANARY-8371", "CANARYLEVEL", "98765.4321", "98765")
NODE = 41
LATER = ("train", "evaluate", ASSESSMENT)


class Hospital:
    """A site folder with its own copy of the federation file, asked as a SuperLink would ask it."""

    def __init__(self, site: Any, federation: Federation) -> None:
        self.site, self.federation, self.folder = site, federation, site.folder
        self.run = new_run({})
        agreement = self.folder / "federation.toml"
        save(federation, agreement)
        node_config: UserConfig = {"site": str(self.folder), "federation": str(agreement)}
        self.context = Context(self.run.run_id, NODE, node_config, RecordDict(), {})
        self.state = Path(os.environ["CONSILIUM_STATE"])
        self.sent: list[Message] = []
        self.asked: list[tuple[int, Any]] = []
        self.wire = b""

    def write(self) -> None:
        self.site.write()

    def message(self, kind: str, content: RecordDict) -> Message:
        """A request as the app gets it, over Flower's wire format."""
        message = Message(content, NODE, kind)
        name_message(message, "1")
        return inflate(deflate(message))

    def begin_run(self) -> None:
        """Ask from now on as another run."""
        self.run, self.asked = new_run({}), []
        self.context.run_id = self.run.run_id

    def ask(self, kind: str, content: RecordDict, same_run: bool = False) -> RecordDict:
        """The content of the app's reply, both messages over Flower's wire format.

        A question that this run can no longer ask begins another, unless it is to be of the same.
        """
        header = content.config_records.get("header", ConfigRecord())
        is_later = max(LATER.index(kind), 0) if kind in LATER else 0
        place = (is_later, int(str(header["number"])) if kind == ASSESSMENT else header.get("round", 0))
        if not same_run and any(place <= before for before in self.asked):
            self.begin_run()
        self.asked.append(place)
        message = self.message(kind, content)
        with acting_as(self.run.run_id, NODE, 1):
            reply = app(message=message, context=self.context)
        assert not reply.has_error()
        assert reply.metadata.reply_to_message_id == "1"
        name_message(reply, "1-reply")
        parcel = deflate(reply)
        self.wire += repr(parcel[:2]).encode() + b"".join(parcel[2].values())
        return inflate(parcel).content

    def change(self, **settings: str) -> None:
        """Agree on another federation file."""
        changed = {name.replace("__", "."): value for name, value in settings.items()}
        self.federation = self.federation.changed(changed)
        save(self.federation, self.folder / "federation.toml")

    def statistics(self, fold: int = -1) -> StatisticsReply:
        request = StatisticsRequest(federation=self.federation.digest, fold=fold)
        return StatisticsReply.from_record(self.ask("query.statistics", request.to_record()))

    def request(self, **changes: Any) -> ModelRequest:
        """A round's request, with the preprocessing of this hospital alone."""
        if self.federation.privacy is None:
            statistics = self.statistics(changes.get("fold", -1)).statistics
            preprocessing = combine([statistics], self.federation)
        else:
            preprocessing = declared(self.federation)
        seed = self.federation.training.seed
        state = build_model(self.federation, self.folder, seed).state_dict()
        fields: dict[str, Any] = {
            "federation": self.federation.digest,
            "round": 1,
            "fold": -1,
            "seed": seed,
            "weights": {name: tensor.numpy() for name, tensor in state.items()},
            "preprocessing": pack_preprocessing(preprocessing),
        }
        return ModelRequest(**(fields | changes))

    def train(self, **changes: Any) -> TrainReply:
        return TrainReply.from_record(self.ask("train", self.request(**changes).to_record()))

    def evaluate(self, **changes: Any) -> EvaluateReply:
        return EvaluateReply.from_record(self.ask("evaluate", self.request(**changes).to_record()))

    def assessment(self, part: str = "counting", number: int = 0, **changes: Any) -> AssessmentRequest:
        """Train a round, and return a question about the weights that it brought."""
        request = self.request()
        self.ask("train", request.to_record())
        fields: dict[str, Any] = {
            "federation": request.federation,
            "round": request.round,
            "fold": request.fold,
            "part": part,
            "number": number,
            "weights": request.weights,
            "preprocessing": request.preprocessing,
            "asked": {},
        }
        return AssessmentRequest(**(fields | changes))

    def assert_quiet(self, logged: str) -> None:
        """No canary was in a message or a log."""
        assert self.wire
        for canary in CANARIES:
            assert canary.encode() not in self.wire
            assert canary not in logged

    def refusal(self, kind: str, content: RecordDict, same_run: bool = False) -> RefusalCode:
        return RefusalReply.from_record(self.ask(kind, content, same_run)).code


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two parts of an assessment that count."""
    parts = tuple(f"tests.common.assessment.counting_part:{name}" for name in ("COUNTING", "CALIBRATING"))
    monkeypatch.setitem(kinds._KINDS, PATIENTS_KIND, replace(kinds._KINDS[PATIENTS_KIND], assessment=parts))


@pytest.fixture
def hospital(site_folder: Any, small_federation: Federation) -> Iterator[Hospital]:
    settings = {"statistics.minimum_count": "2", "training.validation_fraction": "0.25"}
    site_folder.site["fold"] = "fold"
    with acting_as_coordinator(new_run({})):
        hospital = Hospital(site_folder, small_federation.changed(settings))
        hospital.write()
        yield hospital


@pytest.fixture
def proposal(hospital: Hospital, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that a coordinator sends: the federation file and a public file below it."""
    folder = tmp_path_factory.mktemp("proposal")
    (folder / "prior").mkdir()
    (folder / "prior" / "edges.csv").write_text("a,b\nG1,G2\n")
    edges = {"edges": PublicFile.of(folder, "prior/edges.csv")}
    prior = hospital.federation.prior.model_copy(update=edges)
    save(hospital.federation.model_copy(update={"prior": prior}), folder / "federation.toml")
    return folder


@pytest.fixture
def prepared(hospital: Hospital) -> Home:
    """A site with tables, a node key and the way to a coordinator, that has approved nothing."""
    home, (private, public) = Home(hospital.folder), new_key()
    write_whole(home.key, private, 0o600)
    write_whole(home.public_key, public)
    connection = Connection(coordinator="fl.example.org:9443")
    write_whole(home.connection, connection.model_dump_json().encode())
    return home


@pytest.fixture
def approved(prepared: Home, proposal: Path) -> Home:
    """A site that has approved the proposal."""
    approve(prepared, read_proposal(prepared, proposal))
    return prepared


@pytest.fixture
def everything_logged(caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """All that any logger says, Flower's included, formatted with its exceptions."""
    monkeypatch.setattr(logging.getLogger("flwr"), "propagate", True)
    caplog.set_level(logging.DEBUG)
    return lambda: (
        caplog.text + repr([(record.msg, record.args, record.exc_text) for record in caplog.records])
    )


@pytest.fixture
def make_case(make_federation: Callable[..., Federation], prior: Prior, cuts: dict[str, Tensor]) -> MakeCase:
    return partial(build_case, make_federation, prior, cuts)


@pytest.fixture
def every_pattern(make_batch: MakeBatch) -> PatientBatch:
    return patients_of_every_pattern(make_batch)
