"""A hospital that a hostile coordinator asks: app, gate, ledger and receipts, nothing of them replaced."""

import hashlib
import importlib
from importlib.metadata import version
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tomli_w
from flwr.app import Context, Message, RecordDict

from client.commands.approve import approve, read_proposal
from client.flower.internals import AppTask
from client.rounds.assembly import close_sites
from client.runtime.gatekeeper import Gatekeeper
from client.site_folder.keys import new_key
from client.site_folder.places import Home
from common.agreement.bundle import PACKAGE, bundle_files
from common.agreement.federation import Federation, save
from common.errors import RefusalCode
from common.files import write_whole
from common.messages.exchange import ModelRequest, RefusalReply, StatisticsRequest, is_refusal
from common.messages.packing import Arrays
from common.models.registry import build_model
from simulations.engines.flower_internals import (
    acting_as,
    acting_as_coordinator,
    deflate,
    inflate,
    name_message,
    new_run,
)
from tests.client.runtime.linked import AppInThread

NODE = 41


class AttackedHospital:
    """A hospital of a federation file, asked over Flower's wire format as its SuperLink would ask it.

    Args:
        root: empty folder.
        federation: names the hospital `one`.
        tables: of the site folder.
        policy: of the hospital.
    """

    def __init__(
        self, root: Path, federation: Federation, tables: dict[str, pd.DataFrame], policy: dict[str, Any]
    ) -> None:
        self.proposal, self.home = root / "proposal", Home(root / "site")
        private, public = new_key()
        write_whole(self.home.key, private, 0o600)
        write_whole(self.home.public_key, public)
        for name, frame in tables.items():
            frame.to_csv(self.home.folder / f"{name}.csv", index=False)
        site = {"name": "one", "tables": {name: f"{name}.csv" for name in tables}, "policy": policy}
        (self.home.folder / "site.toml").write_text(tomli_w.dumps(site))
        self._numbers = count(1)
        self.approve(federation)
        self.begin_run()

    def approve(self, federation: Federation) -> None:
        """Have the hospital approve a federation file."""
        self.federation = federation
        save(federation, self.proposal / "federation.toml")
        approve(self.home, read_proposal(self.home, self.proposal))
        build = importlib.import_module("flwr.cli.build").build_fab_from_files
        self._bundle, _ = build(dict(bundle_files(federation)))
        close_sites()

    def begin_run(self) -> None:
        """Ask from now on as another run."""
        self._run = new_run({})

    def ask(self, kind: str, content: RecordDict) -> RecordDict | RefusalCode:
        """Content that leaves the hospital in answer to a message, or the code of its refusal."""
        with acting_as_coordinator(self._run):
            message = Message(content, NODE, kind)
        name_message(message, f"{next(self._numbers)}")
        message = inflate(deflate(message))
        with acting_as(self._run.run_id, NODE, 1):
            gatekeeper = Gatekeeper(self.home.folder, AppInThread(self.home))
            digest = hashlib.sha256(self._bundle).hexdigest()
            gatekeeper.admit(AppTask(message, self._bundle, digest, version(PACKAGE)))
            reply = gatekeeper.answer(message, Context(self._run.run_id, NODE, {}, RecordDict(), {}))
            left = gatekeeper.release(reply)
        if is_refusal(left.content):
            return RefusalReply.from_record(left.content).code
        return left.content

    def statistics(self) -> RecordDict | RefusalCode:
        """Ask for statistics."""
        return self.ask(
            "query.statistics", StatisticsRequest(federation=self.federation.digest, fold=-1).to_record()
        )

    def initial(self) -> Arrays:
        """Weights that an honest run begins with."""
        seed = self.federation.training.seed
        state = build_model(self.federation, self.proposal, seed).state_dict()
        return {name: tensor.numpy().copy() for name, tensor in state.items()}

    def question(self, weights: Arrays, preprocessing: Arrays, round_: int = 1) -> RecordDict:
        """A request of a round, well-formed whatever it holds."""
        return ModelRequest(
            federation=self.federation.digest,
            round=round_,
            fold=-1,
            seed=self.federation.training.seed,
            weights={name: np.asarray(array, np.float32) for name, array in weights.items()},
            preprocessing=preprocessing,
        ).to_record()
