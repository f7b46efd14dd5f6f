"""A coordinator's run goes on from the checkpoint that its journal names, and from no other."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from common.errors import IntegrityError
from common.sealed_json import sealed, unsealed
from server.records.journal import CheckpointRecord, RunRecord, read_journal, read_record, rounds_kept
from server.records.result import WEIGHTS
from server.runs.checkpoint import STATE
from server.runs.coordination import RunFailed
from server.runs.run_checkpoint import BEFORE, RunCheckpoint
from server.runs.state import RunState
from tests.server.runs.test_checkpoint import Model, history, sites

if TYPE_CHECKING:
    from tests.server.conftest import Bench


@pytest.fixture(autouse=True)
def _small_model(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("common.models.registry.initial_model", lambda federation, prior, seed: Model(seed))


class Dying(RunCheckpoint):
    """A checkpoint whose process ends after some states were written."""

    def __init__(self, out: Path, after: int) -> None:
        super().__init__(out)
        self._left = after

    def write(self, state: RunState) -> str | None:
        anchor = super().write(state)
        self._left -= 1
        if self._left == 0:
            raise KeyboardInterrupt
        return anchor


def run(bench: "Bench", out: Path, after: int = 0, silent: tuple[int, ...] = ()) -> RunRecord:
    federation = bench.federation(rounds=4, patience=9, strategy="fedadam")
    checkpoint = Dying(out, after) if after else RunCheckpoint(out)
    return bench.coordinate(
        sites(bench, [], silent), federation, out.parent, out, checkpoint=checkpoint, name="r1"
    )


def checkpoints(out: Path) -> list[tuple[int, int]]:
    records = [record for record in read_journal(out) if isinstance(record, CheckpointRecord)]
    return [(record.steps, record.round) for record in records]


@pytest.mark.parametrize("after", [1, 3, 6])
def test_a_resumed_run_keeps_name_and_journal_and_ends_with_the_same_weights(
    bench: "Bench", tmp_path: Path, after: int
) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    run(bench, whole)
    with pytest.raises(KeyboardInterrupt):
        run(bench, out, after)
    assert rounds_kept(out) == (after - 2 if after > 1 else None)  # the last one was cut off before its entry
    run(bench, out)
    assert (out / WEIGHTS).read_bytes() == (whole / WEIGHTS).read_bytes()
    assert history(out) == history(whole)
    status = [record.status for record in read_journal(out) if isinstance(record, RunRecord)]
    assert status == ["started", "resumed", "completed"]
    assert checkpoints(whole) == [(0, 0), (1, 1), (2, 2), (3, 3), (4, 4), (5, 4)]
    assert checkpoints(out) == checkpoints(whole)


@pytest.fixture
def cut(bench: "Bench", tmp_path: Path) -> Path:
    """A run that ended after the checkpoint of its third round."""
    with pytest.raises(KeyboardInterrupt):
        run(bench, tmp_path / "out", 4)
    return tmp_path / "out"


def test_the_last_two_states_are_kept(cut: Path) -> None:
    names = {path.name for path in (cut / "state").iterdir()}
    assert names == {STATE, BEFORE, "arrays-2.safetensors", "arrays-3.safetensors"}


def _older(out: Path) -> None:
    """Put a state in place that the journal names by another hash."""
    kept = json.loads(unsealed((out / "state" / BEFORE).read_bytes()))
    (out / "state" / STATE).write_bytes(sealed(json.dumps(kept | {"trained": 1}).encode()))


def _from_the_future(out: Path) -> None:
    kept = json.loads(unsealed((out / "state" / STATE).read_bytes()))
    (out / "state" / STATE).write_bytes(sealed(json.dumps(kept | {"steps": 9}).encode()))


def _damaged(out: Path) -> None:
    (out / "state" / "arrays-3.safetensors").write_bytes(b"")


def _other_journal(out: Path) -> None:
    lines = (out / "journal.jsonl").read_bytes().splitlines(keepends=True)
    (out / "journal.jsonl").write_bytes(b"".join(lines[:1] + lines[2:]))


@pytest.mark.parametrize("spoil", [_older, _from_the_future, _damaged, _other_journal])
def test_a_checkpoint_that_is_not_the_journals_is_refused(
    bench: "Bench", cut: Path, spoil: Callable[[Path], None]
) -> None:
    spoil(cut)
    journal = (cut / "journal.jsonl").read_bytes()
    with pytest.raises(IntegrityError):
        run(bench, cut)
    assert (cut / "journal.jsonl").read_bytes() == journal


def test_a_spoilt_state_can_be_replaced_by_the_one_before(bench: "Bench", tmp_path: Path, cut: Path) -> None:
    run(bench, tmp_path / "whole")
    _damaged(cut)
    with pytest.raises(IntegrityError) as refused:
        run(bench, cut)
    assert str(cut / "state" / BEFORE) in refused.value.remedy
    shutil.move(cut / "state" / BEFORE, cut / "state" / STATE)
    run(bench, cut)
    assert (cut / WEIGHTS).read_bytes() == (tmp_path / "whole" / WEIGHTS).read_bytes()
    assert history(cut) == history(tmp_path / "whole")


def test_an_exchange_that_was_repeated_is_in_the_journal_once_as_it_was_last(
    bench: "Bench", tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(KeyboardInterrupt):
        run(bench, out, 5)
    shutil.move(out / "state" / BEFORE, out / "state" / STATE)
    shutil.copy(out / "journal.jsonl", tmp_path / "before.jsonl")
    run(bench, out)
    lines = (out / "journal.jsonl").read_text().splitlines()
    rounds = [record for line in lines if (record := read_record(line)).record == "round"]
    assert len(rounds) == len(history(out)) == 5


def test_a_run_that_lacked_a_quorum_is_asked_again_when_hospitals_are_back(
    bench: "Bench", tmp_path: Path
) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunFailed):
        run(bench, out, silent=(2, 3, 4))
    with pytest.raises(KeyboardInterrupt):
        run(bench, tmp_path / "other", 2)
    ended = [record for record in read_journal(out) if isinstance(record, RunRecord)][-1]
    assert ended.status == "failed"
    assert run(bench, out).status == "partial"
