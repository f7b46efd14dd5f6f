"""Four hospitals that answer real Flower messages with plain functions."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, Error, Message, RecordDict
from flwr.serverapp import Grid
from flwr.supercore.run import Run
from flwr.supercore.task_identity import TaskIdentity
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.errors import RefusalCode
from common.messages.exchange import (
    ASSESSMENT,
    EvaluateReply,
    ModelRequest,
    RefusalReply,
    StatisticsReply,
    TrainReply,
)
from common.patients.preprocessing import Preprocessing, pack_preprocessing
from server.aggregation.model_exchange import (
    EvaluateExchange,
    ModelExchange,
    RunContext,
    TrainExchange,
    packed,
    unpacked,
)
from server.aggregation.registry import make_strategy
from server.aggregation.scores import Losses
from server.participants.roster import Roster
from server.records.journal import RoundRecord
from server.runs.assembly import assemble
from server.runs.coordination import coordinate

Weights = dict[str, NDArray[np.float32]]
Answer = Callable[[Message], Message | None]
NODES = {"east": 41, "north": 7, "south": 19, "west": 3}


@pytest.fixture(autouse=True)
def _coordinator() -> Iterator[None]:
    """Flower lets a process create messages only once it knows who it is."""
    before = (TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id)
    TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = 5, 1, 9
    yield
    TaskIdentity._run_id, TaskIdentity._node_id, TaskIdentity._task_id = before


def declined(message: Message) -> Message:
    """Refuse a question of an assessment."""
    refusal = RefusalReply(site="", code=RefusalCode.DECLINED_STATISTICS)
    return Message(refusal.to_record(), reply_to=message)


class FakeGrid(Grid):
    """Delivers each message to its node's function; a node that returns None stays silent.

    `on_question` answers questions of an assessment for all nodes, by a refusal unless a test says otherwise.
    """

    def __init__(self, answers: dict[int, Answer]) -> None:
        self.answers = answers
        self.on_question: Answer = declined
        self.sent: list[Message] = []
        self._replies: list[Message] = []
        self._ids = count(1)

    def set_run(self, run: Run) -> None: ...

    @property
    def run(self) -> Run:
        return Run.create_empty(5)

    def create_message(self, *_: Any, **__: Any) -> Message:
        raise NotImplementedError

    def push_messages(self, messages: Iterable[Message]) -> list[str]:
        named = name(messages, self._ids)
        self.sent += named
        for message in named:
            is_question = message.metadata.message_type == ASSESSMENT
            answer = self.on_question if is_question else self.answers[message.metadata.dst_node_id]
            if (reply := answer(message)) is not None:
                self._replies.append(reply)
        return [message.metadata.message_id for message in named]

    def pull_messages(self, message_ids: Iterable[str]) -> list[Message]:
        replies, self._replies = self._replies, []
        return replies

    def get_node_ids(self) -> list[int]:
        return list(self.answers)

    def send_and_receive(self, messages: Iterable[Message], *, timeout: float | None = None) -> list[Message]:
        raise NotImplementedError


class FakeClock:
    """Time that passes by sleeping alone.

    Attributes:
        now: seconds.
        slept: seconds of every sleep so far.
        on_sleep: called after every sleep.
    """

    def __init__(self, on_sleep: Callable[[], None] = lambda: None) -> None:
        self.now, self.slept, self.on_sleep = 0.0, list[float](), on_sleep

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float, /) -> None:
        self.now += seconds
        self.slept.append(seconds)
        self.on_sleep()


def name(messages: Iterable[Message], ids: Iterator[int]) -> list[Message]:
    """Give messages their ids, as Flower does when it sends them."""
    named = list(messages)
    for message in named:
        message.metadata.__dict__["_message_id"] = f"message-{next(ids)}"
    return named


class Bench:
    """Builds what a test needs around a model of three parameters, one per kind of averaging group."""

    nodes = NODES
    grid = FakeGrid
    fake_clock = FakeClock

    def __init__(self) -> None:
        self.ids = count(1)
        self.clock = FakeClock()
        self.assemble = partial(assemble, clock=self.clock)
        self.coordinate = partial(coordinate, clock=self.clock, is_assessed=False)
        self.weights: Weights = {
            "shared.weight": np.array([[1.0, 2.0], [3.0, 4.0]], np.float32),
            "branches.rna.weight": np.array([10.0, 20.0], np.float32),
            "heads.os.weight": np.array([0.5], np.float32),
        }

    def federation(self, quorum: float = 0.5, deadline_s: float = 60.0, **training: Any) -> Federation:
        return Federation.model_validate(
            {
                "name": "four",
                "modalities": [
                    {"name": "clinical", "node": "clinical", "columns": ["age"]},
                    {"name": "rna", "node": "gene", "columns": ["TP53", "EGFR"]},
                ],
                "tasks": [
                    {
                        "kind": "survival",
                        "name": "os",
                        "time": "d",
                        "event": "e",
                        "unit": "days",
                        "longest": 9000,
                    }
                ],
                "training": {
                    "learning_rate": 1.0,
                    "local_epochs": 100,  # by which sites may move a weight far
                    **training,
                },
                "statistics": {"loss_noise": 0.0},
                "rounds": {"quorum": quorum, "deadline_s": deadline_s},
                "participants": [{"name": site, "patients": 400} for site in NODES],
            }
        )

    def statistics(self, site: str) -> StatisticsReply:
        column = np.array([[40.0], [80.0], [200.0]])
        return StatisticsReply(
            site=site,
            patients=400,
            moments={
                "modality:clinical": column,
                "modality:rna": np.tile(column, 2),
                "survival:os": np.array([[20.0], [120.0], [740.0]]),
                "rest:os": np.array([[20.0], [130.0], [860.0]]),
            },
            withheld={"modality:clinical": 0.0, "modality:rna": 1.0, "survival:os": 0.0, "rest:os": 0.0},
        )

    def rounds(self, federation: Federation | None = None, folder: Path | None = None) -> "Rounds":
        """A run whose rounds a test begins and closes itself."""
        roster = Roster({site: self.statistics(site) for site in NODES}, dict(NODES), ())
        preprocessing = Preprocessing({"rna": torch.zeros(2)}, {"rna": torch.ones(2)}, {"os": torch.ones(12)})
        packed = pack_preprocessing(preprocessing)
        return Rounds(RunContext(federation or self.federation(), roster, packed, 2, 11, folder), self)

    def reply(self, request: Message, site: str, add: float = 1.0, **changes: Any) -> Message:
        """An honest reply of `site`, its weights moved by `add`, with fields replaced."""
        asked = ModelRequest.from_record(request.content)
        fields: dict[str, Any] = {
            "site": site,
            "round": asked.round,
            "weights": {key: array + np.float32(add) for key, array in asked.weights.items()},
            "patients": {"patients": 30.0, "branches.rna": 20.0, "heads.os": 30.0},
            "metrics": self.metrics(0.5),
        }
        return Message(TrainReply(**{**fields, **changes}).to_record(), reply_to=request)

    def evaluation(self, request: Message, site: str, loss: float) -> Message:
        """An honest answer to an `evaluate` request."""
        number = ModelRequest.from_record(request.content).round
        return Message(
            EvaluateReply(site=site, round=number, metrics=self.metrics(loss)).to_record(), reply_to=request
        )

    def metrics(self, loss: float, patients: float = 10.0) -> dict[str, float]:
        return {
            "validation_loss": loss * patients,
            "validation_patients": patients,
            "concordant:os": 30.0,
            "comparable:os": 40.0,
            "training_loss": loss / 2,
        }

    def content(self, request: Message, content: RecordDict) -> Message:
        return Message(content, reply_to=request)

    def error(self, request: Message, code: int, reason: str) -> Message:
        return Message(Error(code, reason), reply_to=request)


class Rounds:
    """Rounds of a run that are begun and closed by hand.

    Attributes:
        record: of the exchange that was closed last.
        losses: of the training exchange that was closed last.
    """

    record: RoundRecord
    losses: Losses

    def __init__(self, run: RunContext, bench: Bench) -> None:
        self.run, self._bench = run, bench
        self.strategy = make_strategy(run.federation.training)

    def ask(self, number: int = 1, weights: Weights | None = None) -> dict[str, Message]:
        """Begin a training round: its requests by site, named as if sent."""
        self._training = TrainExchange(self.run, number, self._arrays(weights))
        return self._named(self._training)

    def close(self, replies: Iterable[Message]) -> Weights | None:
        """The next weights; None without a quorum."""
        trained = self._training.close(replies, self.strategy)
        self.record, self.losses = trained.record, trained.losses
        return None if trained.arrays is None else unpacked(trained.arrays)

    def ask_to_evaluate(self, number: int) -> dict[str, Message]:
        """Begin an evaluation: its requests by site, named as if sent."""
        self._evaluation = EvaluateExchange(self.run, number, self._arrays(None))
        return self._named(self._evaluation)

    def close_evaluation(self, replies: Iterable[Message]) -> None:
        """Read the replies to an evaluation."""
        self.record = self._evaluation.close(replies).record

    def _arrays(self, weights: Weights | None) -> ArrayRecord:
        return packed(self._bench.weights if weights is None else weights)

    def _named(self, exchange: ModelExchange) -> dict[str, Message]:
        sites = {node: site for site, node in NODES.items()}
        requests = name(exchange.requests, self._bench.ids)
        return {sites[request.metadata.dst_node_id]: request for request in requests}


@pytest.fixture
def bench() -> Bench:
    return Bench()
