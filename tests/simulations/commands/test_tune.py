"""The command `consilium tune`: its codes and what it prints."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from click.testing import Result as Ended

from simulations.cohorts.folders import find_sites

Consilium = Callable[..., Ended]
SmallCohort = Callable[..., Path]


def test_a_search_pauses_with_3_and_ends_with_0(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort, out = small_cohort(tasks=["survival"], training__rounds="1"), tmp_path / "out"
    grid = ("--over", "training.learning_rate=0.01,0.05", "--inner-folds", "2", "--seeds", "1")
    command = ("tune", cohort, *grid, "--processes", "1", "--out", out)
    paused = consilium(*command, "--runs", "1")
    assert paused.exit_code == 3, paused.stderr
    assert "3 runs" in paused.stdout
    ended = consilium(*command)
    assert ended.exit_code == 0, ended.stderr
    assert ended.stderr.count("inner fold") == 3
    written = json.loads((out / "tune.json").read_text())
    assert (written["finished"], written["runs"], written["closed_fold"]) == (4, 4, 0)
    assert "training.learning_rate=0.05" in ended.stdout
    assert str(out) in ended.stdout


def test_what_can_be_mended_is_one_sentence_and_2(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"])
    for over in ("training.epochs=1", "training.learning_rate", "training.learning_rate=9"):
        ended = consilium("tune", cohort, "--over", over, "--out", tmp_path / "out")
        assert ended.exit_code == 2
        assert ended.stderr.startswith("consilium: --over")
        assert ended.stderr.count("\n") == 1
        assert not (tmp_path / "out").exists()


def test_a_federation_that_cannot_be_trained_ends_with_1(
    consilium: Consilium, small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    for number, site in enumerate(find_sites(cohort)):
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
        alone = (outcomes.index == outcomes.index[outcomes["fold"] != "0"][0]) & (number == 0)
        outcomes.assign(died=np.where(alone, "1", "0")).to_csv(site / "outcomes.csv", index=False)
    command = ("tune", cohort, "--over", "training.learning_rate=0.05", "--inner-folds", "2", "--seeds", "1")
    ended = consilium(*command, "--processes", "1", "--out", tmp_path / "out")
    assert ended.exit_code == 1
    assert ended.stderr.splitlines()[-1].startswith("consilium: ")
