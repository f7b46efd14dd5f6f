"""A run of which one hospital has its follow-up in months where days are agreed on."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from flwr.app import Message, MessageType

from common.agreement.federation import FILE_NAME, Federation, save
from common.messages.exchange import STATISTICS, ModelRequest
from server.records.journal import RunRecord, read_journal
from server.runs.coordination import HospitalsApart, coordinate
from tests.server.runs.test_coordination import Model

if TYPE_CHECKING:
    from tests.server.conftest import Bench, FakeGrid


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.models.registry.initial_model", lambda federation, prior, seed: Model(seed))


def grid(bench: "Bench", heard: dict[str, list[list[int]]], factor: float) -> "FakeGrid":
    """Sites of which east has its times in another unit; `heard` collects what every request names as far."""

    def site(name: str) -> Callable[[Message], Message]:
        def answer(message: Message) -> Message:
            if message.metadata.message_type == STATISTICS:
                reply = bench.statistics(name)
                if name == "east":
                    time = np.log1p(np.random.default_rng(0).lognormal(6, 0.7, 40) / factor)
                    of_time = np.array([[40.0], [time.sum()], [np.square(time).sum()]])
                    moments = reply.moments | {"survival:os": of_time, "rest:os": of_time}
                    reply = reply.model_copy(update={"moments": moments})
                return Message(reply.to_record(), reply_to=message)
            heard[name].append(ModelRequest.from_record(message.content).far)
            if message.metadata.message_type == MessageType.EVALUATE:
                return bench.evaluation(message, name, 1.0)
            return bench.reply(message, name)

        return answer

    return bench.grid({node: site(name) for name, node in bench.nodes.items()})


def run(bench: "Bench", out: Path, federation: Federation, factor: float) -> dict[str, list[list[int]]]:
    heard: dict[str, list[list[int]]] = {name: [] for name in bench.nodes}
    save(federation, out / FILE_NAME)
    try:
        coordinate(grid(bench, heard, factor), federation, out, out, seed=11)
    except HospitalsApart:
        assert federation.statistics.far == "stop"
    return heard


def records(out: Path) -> list[RunRecord]:
    return [record for record in read_journal(out) if isinstance(record, RunRecord)]


def test_a_warning_is_in_the_journal_and_goes_to_that_hospital_alone(bench: "Bench", tmp_path: Path) -> None:
    heard = run(bench, tmp_path, bench.federation(rounds=2), 30.44)
    started, ended = records(tmp_path)
    (apart,) = started.apart
    assert (apart.table, apart.column, apart.sites) == ("outcomes", "d", ("east",))
    assert ended.status == "completed"
    assert ended.apart == started.apart
    assert heard.pop("east") == [[apart.quantity]] * 3
    assert all(numbers == [[]] * 3 for numbers in heard.values())


def test_nothing_is_said_of_hospitals_alike(bench: "Bench", tmp_path: Path) -> None:
    heard = run(bench, tmp_path, bench.federation(rounds=1), 1.0)
    assert records(tmp_path)[0].apart == ()
    assert "apart" not in records(tmp_path)[0].model_dump_json()
    assert heard["east"] == [[], []]


def test_an_agreement_that_says_stop_ends_the_run_before_its_first_round(
    bench: "Bench", tmp_path: Path
) -> None:
    federation = bench.federation(rounds=2).changed({"statistics.far": "stop"})
    heard = run(bench, tmp_path, federation, 30.44)
    assert [record.status for record in records(tmp_path)] == ["started", "failed"]
    assert len(records(tmp_path)[-1].apart) == 1
    assert not any(heard.values())
