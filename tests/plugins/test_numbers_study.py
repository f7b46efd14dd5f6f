"""A family from outside is simulated: trained together, alone and pooled, judged and reported."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement import kinds
from common.agreement.agreement import FILE_NAME
from common.agreement.loading import load_agreement
from common.errors import InputCode, InputError
from simulations.families.registry import study_of
from tests.plugins.fresh_process import consilium

Write = Callable[..., Path]


@pytest.mark.parametrize("engine", ["serial", "processes"])
def test_it_is_simulated_together_alone_and_pooled(write: Write, tmp_path: Path, engine: str) -> None:
    out = tmp_path / "out"
    ended = consilium("simulate", str(write()), "--folds", "2", "--engine", engine, "--out", str(out))
    assert ended.returncode == 0, ended.stderr
    result = json.loads((out / "result.json").read_text())
    assert set(result["hospitals"]) == {"north", "south", "west"}
    assert set(result["tasks"]) == {"y"}
    arms = result["tasks"]["y"]
    assert set(arms) == {"federated", "local", "pooled"}
    assert all(arms[arm]["r2"]["mean"] > 0.9 for arm in arms)
    assert all(0 < arms[arm]["mse"]["mean"] < 1 for arm in arms)
    low, high = arms["federated"]["r2"]["interval"]
    assert low < arms["federated"]["r2"]["mean"] < high
    assert set(result["paired"]["y"]) == {"local", "pooled"}
    assert set(result["sites"]["y"]) == {"north", "south", "west"}
    assert [len(fold) for fold in result["history"]] == [5, 5]
    page = (out / "report.html").read_text()
    assert "<table" in page
    assert page.count("<svg") >= 2  # learning curves, and arms beside each other


def test_it_is_simulated_with_privacy(write: Write, tmp_path: Path) -> None:
    out, cohort = tmp_path / "out", str(write())
    ended = consilium(
        *("simulate", cohort, "--fold", "0", "--epsilon", "8", "--set", "privacy.learning_rate=0.5"),
        *("--federated-only", "--out", str(out)),
    )
    assert ended.returncode == 0, ended.stderr
    (run,) = json.loads((out / "result.json").read_text())["privacy"]
    assert (run["epsilon"], run["learn"]) == (8, "all")
    assert 0 < run["spent"] <= 8
    assert run["tasks"]["y"]["r2"]["mean"] is not None


def test_its_settings_are_searched_for_without_the_closed_readings(write: Write, tmp_path: Path) -> None:
    out, over = tmp_path / "out", ("--over", "training.rounds=1")
    ended = consilium(
        *("tune", str(write()), *over, "--inner-folds", "2", "--seeds", "1", "--processes", "1"),
        *("--out", str(out)),
    )
    assert ended.returncode == 0, ended.stderr
    result = json.loads((out / "tune.json").read_text())
    assert result["file_scores"]["y"]["metric"] == "r2"
    (setting,) = result["settings"]
    assert (setting["settings"], setting["pairs"]) == ({"training.rounds": "1"}, 2)
    assert setting["difference"] < 0


def test_a_family_without_a_study_is_refused(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    agreement = load_agreement(write() / FILE_NAME)
    study_of(agreement)
    kind = kinds.kind_named("numbers")
    monkeypatch.setitem(kinds._KINDS, "numbers", kinds.Kind(kind.agreement, kind.family, kind.reader))
    with pytest.raises(InputError) as refused:
        study_of(agreement)
    assert refused.value.code is InputCode.CONTENT_INVALID
    assert "numbers" in refused.value.what
