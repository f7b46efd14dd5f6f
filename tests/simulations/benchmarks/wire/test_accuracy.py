"""Real federations, one for each encoding; a run that is there is not done again."""

from pathlib import Path
from typing import Any

import pytest

from common.agreement.federation import load
from simulations.benchmarks.wire import accuracy as wire_accuracy
from simulations.benchmarks.wire.accuracy import WIRES, EncodingRun, FoldedCohort, name_of, run_accuracy
from simulations.families.folds import with_folds


@pytest.fixture
def _short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two rounds of float32 and int8, on two folds of five."""

    def two_folds(*given: Any) -> tuple[list[Path], tuple[int, ...]]:
        sites, folds = with_folds(*given)
        assert list(folds) == list(range(5))
        return sites, tuple(folds)[:2]

    monkeypatch.setattr(wire_accuracy, "with_folds", two_folds)
    monkeypatch.setattr(wire_accuracy, "load", lambda path: load(path).changed({"training.rounds": "2"}))
    monkeypatch.setattr(wire_accuracy, "WIRES", (WIRES[0], WIRES[2]))


@pytest.mark.usefixtures("_short")
def test_every_encoding_is_trained_on_the_same_folds_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = run_accuracy(["lung"], None, tmp_path / "out")
    assert [(name_of(run.wire), run.fold) for run in runs] == [
        (name, fold) for fold in range(2) for name in ("float32", "int8")
    ]
    plain, small = runs[:2]
    assert plain.rounds == 2
    assert plain.replies == small.replies > 0
    assert plain.update_bytes / small.update_bytes > 4
    assert plain.message_bytes > plain.update_bytes
    assert all(0 <= run.metrics[task] <= 1 for run in runs for task in run.metrics)  # type: ignore[operator]
    assert set(plain.within.values()) == {None}, "hospitals are the groups"
    assert capsys.readouterr().err.count("lung, int8, fold 1, seed 0: ") == 1

    def again(self: FoldedCohort, *_: object) -> EncodingRun:
        raise AssertionError("a run was done again")

    monkeypatch.setattr(FoldedCohort, "run", again)
    assert run_accuracy(["lung"], None, tmp_path / "out") == runs
