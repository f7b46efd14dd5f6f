"""Several seeds in one command: a folder each, their spread, and nothing trained twice."""

import json
from collections.abc import Callable
from pathlib import Path
from statistics import fmean, stdev

import pytest

from simulations.commands import seeds as command
from simulations.results.schema import SimulationResult
from tests.simulations.conftest import run_consilium


@pytest.mark.usefixtures("networks_only", "no_report")
def test_seeds_have_folders_and_a_spread_and_are_not_trained_again(
    small_cohort: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort, out = small_cohort(tasks=["survival"], training__rounds="1"), tmp_path / "out"
    asked = ("simulate", cohort, "--fold", 0, "--federated-only", "--engine", "serial", "--seed", 4)
    ended = run_consilium(*asked, "--seeds", 2, "--out", out, "--json")
    assert ended.exit_code == 0, ended.output
    told = json.loads(ended.stdout)
    assert told == json.loads((out / "seeds.json").read_text())
    results = {seed: SimulationResult.read(out / f"seed-{seed}" / "result.json") for seed in (4, 5)}
    assert {result.seed for result in results.values()} == {4, 5}
    (spread,) = [figure for figure in told["figures"] if figure["arm"] == "federated"]
    means = []
    for result in results.values():
        head = result.headline("survival", "federated")
        assert head is not None
        assert head.mean is not None
        means.append(head.mean)
    assert spread["per_seed"] == {"4": means[0], "5": means[1]}
    assert (spread["mean"], spread["sd"]) == pytest.approx((fmean(means), stdev(means)))

    monkeypatch.setattr(command, "run_experiment", lambda *_: pytest.fail("a seed was trained again"))
    again = run_consilium(*asked, "--seeds", 2, "--out", out)
    assert again.exit_code == 0, again.output
    assert "+-" in again.stdout
    other = run_consilium(*asked, "--seeds", 2, "--rounds", 2, "--out", out)
    assert other.exit_code == 2
    assert "another experiment" in other.stderr


@pytest.mark.parametrize(
    "more", [("--seeds", 2), ("--seeds", 2, "--out", "out", "--resume", "out"), ("--seeds", 1)]
)
def test_seeds_need_a_folder_and_no_other_one_to_go_on_with(more: tuple[object, ...]) -> None:
    assert run_consilium("simulate", "lung", *more).exit_code == 2
