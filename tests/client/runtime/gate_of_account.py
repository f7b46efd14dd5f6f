"""Gate that is handed one task after another by no SuperNode; run as a program with SITE SOCKET.

Prints what left, as JSON: the class of every message, and whether its receipt says that it passed.
"""

import hashlib
import json
import sys
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace

from flwr.app import Context, RecordDict

from client.flower.internals import AppTask
from client.receipts.verification import verify
from client.runtime.app_link import AppService
from client.runtime.gatekeeper import Gatekeeper
from client.site_folder.keys import read_public_key
from client.site_folder.places import Home
from common.agreement.bundle import PACKAGE
from common.agreement.federation import load
from common.messages.exchange import ModelRequest, StatisticsReply, StatisticsRequest
from common.models.registry import build_model
from common.patients.preprocessing import combine, declared, pack_preprocessing
from simulations.engines.flower_internals import acting_as, acting_as_coordinator, new_run
from tests.client.conftest import NODE, Hospital
from tests.client.runtime.test_gatekeeper import bundle


class Gate:
    """Asks the app of a site folder through the site's own gate.

    Args:
        home: the site folder.
        socket: at which the app listens.
    """

    def __init__(self, home: Home, socket: Path) -> None:
        self.home, self.socket, self.federation = home, socket, load(home.agreement)
        self.hospital = Hospital(SimpleNamespace(folder=home.folder), self.federation)
        self.bundle = bundle(self.federation)

    def ask(self, kind: str, content: RecordDict) -> RecordDict:
        message = self.hospital.message(kind, content)
        app = AppService(self.socket)
        gatekeeper = Gatekeeper(self.home.folder, app)
        run = self.hospital.run.run_id
        digest = hashlib.sha256(self.bundle).hexdigest()
        gatekeeper.admit(AppTask(message, self.bundle, digest, version(PACKAGE)))
        with acting_as(run, NODE, 1):
            context = Context(run, NODE, {}, RecordDict(), {})
            left = gatekeeper.release(gatekeeper.answer(message, context))
        app.close()
        return left.content

    def train(self) -> None:
        federation = self.federation
        if federation.privacy is None:
            asked = StatisticsRequest(federation=federation.digest, fold=-1).to_record()
            told = StatisticsReply.from_record(self.ask("query.statistics", asked))
            preprocessing = combine([told.statistics], federation)
        else:
            preprocessing = declared(federation)
        seed = federation.training.seed
        weights = build_model(federation, self.home.agreement.parent, seed).state_dict()
        request = ModelRequest(
            federation=federation.digest,
            round=1,
            fold=-1,
            seed=seed,
            weights={name: tensor.numpy() for name, tensor in weights.items()},
            preprocessing=pack_preprocessing(preprocessing),
        )
        self.ask("train", request.to_record())

    def left(self) -> list[tuple[str, str, str]]:
        receipts = verify(self.home.receipts, read_public_key(self.home.public_key)).receipts
        return [(receipt.message, receipt.verdict, receipt.reason) for receipt in receipts]


if __name__ == "__main__":
    with acting_as_coordinator(new_run({})):
        gate = Gate(Home(Path(sys.argv[1])), Path(sys.argv[2]))
        gate.train()
    print(json.dumps(gate.left()))
