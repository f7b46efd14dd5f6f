"""Runs that end between two exchanges and go on in another process."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from flwr.app import Message, MessageType

from common.errors import InputError, IntegrityError
from common.messages.exchange import STATISTICS, ModelRequest
from common.sealed_json import sealed, unsealed
from server.records.journal import RoundRecord, read_journal
from server.records.result import WEIGHTS, load_result
from server.runs.checkpoint import STATE, CheckpointFolder
from server.runs.coordination import RunFailed
from server.runs.state import RunState

if TYPE_CHECKING:
    from tests.server.conftest import Bench, FakeGrid


class Model(torch.nn.Module):
    """Three parameters that start at the seed."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.shared = torch.nn.Parameter(torch.full((2,), float(seed)))
        self.heads = torch.nn.ParameterDict({"os": torch.nn.Parameter(torch.full((1,), float(seed)))})

    def parts(self) -> None:
        """It has no parts to watch."""


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.models.registry.initial_model", lambda federation, prior, seed: Model(seed))


class Dying(CheckpointFolder):
    """A checkpoint whose process ends after some states were written."""

    def __init__(self, folder: Path, after: int) -> None:
        super().__init__(folder)
        self._left = after

    def write(self, state: RunState) -> str | None:
        anchor = super().write(state)
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        return anchor


def sites(bench: "Bench", asked: list[str], silent: tuple[int, ...] = ()) -> "FakeGrid":
    """Sites that move weights by what the round and the weights say, and none of which answers in `silent` rounds.

    They tell other numbers of patients in every round, of which the first hold.
    """

    def site(name: str) -> Callable[[Message], Message | None]:
        def answer(message: Message) -> Message | None:
            kind = message.metadata.message_type
            asked.append(kind)
            if kind == STATISTICS:
                return Message(bench.statistics(name).to_record(), reply_to=message)
            request = ModelRequest.from_record(message.content)
            if request.round in silent:
                return None
            now = abs(float(request.weights["shared"][0]) - 2)
            if kind == MessageType.EVALUATE:
                return bench.evaluation(message, name, now)
            add = 0.1 * request.round + 0.3 * len(name)
            told = dict.fromkeys(("patients", "heads.os"), 5.0 ** len(name) / 9 // request.round)
            return bench.reply(message, name, add=add, patients=told, metrics=bench.metrics(now))

        return answer

    return bench.grid({node: site(name) for name, node in bench.nodes.items()})


def history(out: Path) -> list[dict[str, Any]]:
    records = [record for record in read_journal(out) if isinstance(record, RoundRecord)]
    return [record.model_dump(exclude={"seconds"}) for record in records]


@pytest.mark.parametrize("strategy", ["fedavg", "fedadam", "fedyogi"])
@pytest.mark.parametrize("after", range(1, 7))
def test_a_run_that_ends_anywhere_goes_on_to_the_same_weights_and_journal(
    bench: "Bench", tmp_path: Path, strategy: str, after: int
) -> None:
    federation = bench.federation(rounds=4, patience=9, strategy=strategy)
    whole = bench.coordinate(sites(bench, []), federation, tmp_path, tmp_path / "whole", 2, 5)
    out, asked = tmp_path / "out", list[str]()
    with pytest.raises(KeyboardInterrupt):
        bench.coordinate(
            sites(bench, asked), federation, tmp_path, out, 2, 5, checkpoint=Dying(out / "state", after)
        )
    with (out / "journal.jsonl").open("a") as journal:
        journal.write('{"record": "round", "ki')
    run = bench.coordinate(
        sites(bench, asked), federation, tmp_path, out, 2, 5, checkpoint=CheckpointFolder(out / "state")
    )
    assert (out / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert history(out) == history(tmp_path / "whole")
    assert run.model_copy(update={"at": ""}) == whole.model_copy(update={"at": ""})
    assert asked.count(STATISTICS) == len(bench.nodes)
    assert len(asked) == len(bench.nodes) * 6


def test_a_finished_run_goes_on_with_more_rounds_from_its_last_weights(
    bench: "Bench", tmp_path: Path
) -> None:
    keeper = CheckpointFolder(tmp_path / "state")
    short, long = (bench.federation(rounds=rounds, patience=9) for rounds in (2, 4))
    bench.coordinate(sites(bench, []), short, tmp_path, tmp_path, 0, 0, checkpoint=keeper)
    before = keeper.read()
    assert before is not None
    assert before.finished
    asked = list[str]()
    run = bench.coordinate(sites(bench, asked), long, tmp_path, tmp_path, 0, 0, checkpoint=keeper)
    assert run.rounds == 4
    assert len(asked) == 3 * len(bench.nodes)
    after = keeper.read()
    assert after is not None
    assert (after.rounds, after.number, after.steps) == (4, 4, before.steps + 3)
    begun = bench.coordinate(sites(bench, []), long, tmp_path, tmp_path / "new", 0, 0)
    assert begun.best_loss == run.best_loss
    assert (load_result(tmp_path / "new").weights["shared"] == load_result(tmp_path).weights["shared"]).all()


def test_misses_are_counted_across_a_resumption(bench: "Bench", tmp_path: Path) -> None:
    federation = bench.federation(rounds=9, patience=9)
    grid = sites(bench, [], silent=(2, 3, 4))
    with pytest.raises(KeyboardInterrupt):
        bench.coordinate(grid, federation, tmp_path, tmp_path, checkpoint=Dying(tmp_path / "state", 4))
    for _ in range(2):
        with pytest.raises(RunFailed):
            bench.coordinate(
                grid, federation, tmp_path, tmp_path, checkpoint=CheckpointFolder(tmp_path / "state")
            )
    assert [record["round"] for record in history(tmp_path)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "other",
    [
        {"fold": 1},
        {"seed": 1},
        {"federation": {"rounds": 4, "patience": 8}},
        {"federation": {"rounds": 5, "patience": 9}},
        {"federation": {"rounds": 3, "patience": 9}},
    ],
)
def test_another_run_is_refused(bench: "Bench", tmp_path: Path, other: dict[str, Any]) -> None:
    federation = bench.federation(rounds=4, patience=9)
    with pytest.raises(KeyboardInterrupt):
        bench.coordinate(
            sites(bench, []), federation, tmp_path, tmp_path, 0, 0, checkpoint=Dying(tmp_path / "state", 3)
        )
    agreed = bench.federation(**other["federation"]) if "federation" in other else federation
    fold, seed = other.get("fold", 0), other.get("seed", 0)
    with pytest.raises(InputError):
        bench.coordinate(
            sites(bench, []),
            agreed,
            tmp_path,
            tmp_path,
            fold,
            seed,
            checkpoint=CheckpointFolder(tmp_path / "state"),
        )


@pytest.fixture
def written(bench: "Bench", tmp_path: Path) -> Path:
    """A checkpoint after two rounds."""
    federation = bench.federation(rounds=4, patience=9, strategy="fedadam")
    with pytest.raises(KeyboardInterrupt):
        bench.coordinate(
            sites(bench, []), federation, tmp_path, tmp_path, checkpoint=Dying(tmp_path / "state", 3)
        )
    return tmp_path / "state"


def test_a_state_is_read_as_it_was_written_and_holds_no_sums_of_patients(written: Path) -> None:
    state = CheckpointFolder(written).read()
    assert state is not None
    assert list(state.arrays) == ["shared", "heads.os"]
    assert state.memory.keys() == {"first", "second"}
    assert state.record is not None
    assert (state.number, state.steps, state.record.round) == (2, 2, 2)
    assert all(reply.patients == 400 and not reply.moments for reply in state.roster.statistics.values())
    CheckpointFolder(written.parent / "copy").write(state)
    for name in (STATE, "arrays-2.safetensors"):
        assert (written.parent / "copy" / name).read_bytes() == (written / name).read_bytes()
    assert {path.name for path in written.iterdir()} == {STATE, "arrays-2.safetensors"}


def _flip(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)


def _change(path: Path, keys: dict[str, Any]) -> None:
    """Change keys of a state, and seal it anew."""
    path.write_bytes(sealed(json.dumps(json.loads(unsealed(path.read_bytes())) | keys).encode()))


@pytest.mark.parametrize(
    "spoil",
    [
        lambda folder: _flip(folder / "arrays-2.safetensors"),
        lambda folder: (folder / "arrays-2.safetensors").unlink(),
        lambda folder: (folder / STATE).write_text("{"),
        lambda folder: _change(folder / STATE, {"arrays": "../weights.safetensors"}),
        lambda folder: _change(folder / STATE, {"names": ["shared", "other"]}),
    ],
)
def test_a_damaged_checkpoint_is_refused(written: Path, spoil: Callable[[Path], object]) -> None:
    spoil(written)
    with pytest.raises(InputError):
        CheckpointFolder(written).read()


def test_a_checkpoint_of_which_any_byte_differs_is_refused(written: Path) -> None:
    names = {path.name for path in written.iterdir()}
    assert names == {STATE, "arrays-2.safetensors"}
    for name in names:
        whole = (written / name).read_bytes()
        for position in range(len(whole)):
            changed = bytearray(whole)
            changed[position] ^= 1
            (written / name).write_bytes(changed)
            with pytest.raises(IntegrityError):
                CheckpointFolder(written).read()
        (written / name).write_bytes(whole)


def test_a_run_whose_journal_was_changed_does_not_go_on(
    bench: "Bench", written: Path, tmp_path: Path
) -> None:
    whole = (tmp_path / "journal.jsonl").read_bytes()
    federation = bench.federation(rounds=4, patience=9, strategy="fedadam")
    for position in range(0, len(whole), 97):
        changed = bytearray(whole)
        changed[position] ^= 1
        (tmp_path / "journal.jsonl").write_bytes(changed)
        with pytest.raises(IntegrityError):
            bench.coordinate(
                sites(bench, []), federation, tmp_path, tmp_path, checkpoint=CheckpointFolder(written)
            )
        assert (tmp_path / "journal.jsonl").read_bytes() == changed


def test_before_the_first_state_there_is_none(tmp_path: Path) -> None:
    assert CheckpointFolder(tmp_path).read() is None


def test_a_state_that_is_cut_off_between_its_files_leaves_the_one_before(written: Path) -> None:
    keeper = CheckpointFolder(written)
    state = keeper.read()
    assert state is not None
    shutil.copytree(written, written.parent / "before")
    state.steps, state.arrays = 3, {name: array + 1 for name, array in state.arrays.items()}
    keeper.write(state)
    shutil.copyfile(written / "arrays-3.safetensors", written.parent / "before" / "arrays-3.safetensors")
    again = CheckpointFolder(written.parent / "before").read()
    assert again is not None
    assert again.steps == 2
    assert all(np.isfinite(array).all() for array in again.arrays.values())
