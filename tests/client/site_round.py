"""A hospital's two messages, answered by the packages that a site installs; prints JSON.

Run as a program: FOLDER holds the site folder with its federation.toml, and the modules named after it cannot be
imported.
"""

import json
import sys
from pathlib import Path
from typing import Any

NODE, RUN = 41, 7


class Missing:
    """Finder that has some modules not be installed."""

    def __init__(self, modules: list[str]) -> None:
        self.modules = modules

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:
        if name.partition(".")[0] in self.modules:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def run(*arguments: str) -> int:
    """The exit code of the console command, in this process."""
    from consilium.command import main

    sys.argv = ["consilium", *arguments]
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def answers(folder: Path) -> dict[str, Any]:
    """Answers of a site to a statistics request and to a training request."""
    from flwr.app import Context, Message, RecordDict
    from flwr.common.constant import SUPERLINK_NODE_ID
    from flwr.supercore.task_identity import TaskIdentity

    from client.app import app
    from common.agreement.federation import load
    from common.messages.exchange import (
        ModelRequest,
        StatisticsReply,
        StatisticsRequest,
        TrainReply,
    )
    from common.models.registry import build_model
    from common.patients.preprocessing import combine, pack_preprocessing

    agreement = folder / "federation.toml"
    federation = load(agreement)
    context = Context(
        RUN, NODE, {"site": str(folder), "federation": str(agreement)}, RecordDict(), {"hospital": ""}
    )

    def ask(kind: str, content: RecordDict) -> RecordDict:
        TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = RUN, SUPERLINK_NODE_ID, 1
        message = Message(content, NODE, kind)
        message.metadata.__dict__["_message_id"] = "1"
        TaskIdentity._node_id = NODE
        reply = app(message=message, context=context)
        assert not reply.has_error(), reply.error
        return reply.content

    request = StatisticsRequest(federation=federation.digest, fold=-1)
    statistics = StatisticsReply.from_record(ask("query.statistics", request.to_record())).statistics
    before = {
        name: tensor.numpy()
        for name, tensor in build_model(federation, folder, federation.training.seed).state_dict().items()
    }
    asked = ModelRequest(
        federation=federation.digest,
        round=1,
        fold=-1,
        seed=federation.training.seed,
        weights=before,
        preprocessing=pack_preprocessing(combine([statistics], federation)),
    )
    trained = TrainReply.from_record(ask("train", asked.to_record()))
    changed = [name for name, array in trained.weights.items() if (array != before[name]).any()]
    return {"parameters": len(before), "changed": len(changed)}


if __name__ == "__main__":
    sys.meta_path.insert(0, Missing(sys.argv[2:]))
    site = Path(sys.argv[1])
    told = answers(site)
    told["check"] = run("site", "check", str(site))
    told["simulations"] = sorted(name for name in sys.modules if name.startswith("simulations."))
    print(json.dumps(told))
