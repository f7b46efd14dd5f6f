"""A search over a small cohort: what it reads, how it goes on, and what it chooses."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from common.agreement.federation import FILE_NAME, load
from common.errors import OptionError, StateError
from server.runs.coordination import RunFailed
from simulations.cohorts.cohort_folder import open_cohort
from simulations.cohorts.folders import find_sites
from simulations.tuning.finished import RUNS, FinishedRuns, SearchFile, TuningRun
from simulations.tuning.options import TuningOptions
from simulations.tuning.result import RESULT, TuningResult
from simulations.tuning.tune import TUNED, tune

SmallCohort = Callable[..., Path]

LEARNING = {"training.learning_rate": ("0.01", "0.05")}
"""The first is the rate of the small cohort itself."""


def options(out: Path, **changes: object) -> TuningOptions:
    asked = TuningOptions(over=LEARNING, out=out, inner_folds=2, seeds=1, processes=1)
    return replace(asked, **changes)  # type: ignore[arg-type]


def search(cohort: Path, asked: TuningOptions, lines: list[str] | None = None) -> TuningResult:
    said: list[str] = [] if lines is None else lines
    return tune(open_cohort(cohort), asked, said.append)


@dataclass(frozen=True)
class Searched:
    """Finished search over a cohort, of which a test takes a copy."""

    cohort: Path
    out: Path
    result: TuningResult

    def copied(self, out: Path) -> Path:
        return Path(shutil.copytree(self.out, out))


@pytest.fixture(scope="module")
def searched(cohort_in: Callable[..., SmallCohort], tmp_path_factory: pytest.TempPathFactory) -> Searched:
    folder = tmp_path_factory.mktemp("searched")
    cohort = cohort_in(folder)(tasks=["survival"], training__rounds="1")
    return Searched(cohort, folder / "out", search(cohort, options(folder / "out")))


def test_every_setting_is_judged_on_every_inner_fold(searched: Searched) -> None:
    result = searched.result
    assert (result.closed_fold, result.inner_folds, result.seeds) == (0, 2, (0,))
    assert (result.runs, result.finished, result.is_complete) == (4, 4, True)
    (setting,) = result.settings
    assert setting.settings == {"training.learning_rate": "0.05"}
    assert (setting.pairs, setting.failed) == (2, 0)
    assert setting.difference is not None
    assert TuningResult.model_validate_json((searched.out / RESULT).read_bytes()) == result


def trained_files(out: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in (out / RUNS).iterdir()}


def rescore(out: Path, score: Callable[[TuningRun], float]) -> None:
    """Give the finished runs of a search other scores of survival."""
    for path in (out / RUNS).iterdir():
        run = TuningRun.model_validate({**_content(path), "scores": {}})
        description = SearchFile.model_validate(_content(out / "search.json"))
        FinishedRuns(out, description).write(run.model_copy(update={"scores": {"survival": score(run)}}))


def _content(path: Path) -> dict[str, object]:
    content: dict[str, object] = json.loads(path.read_text())
    content.pop("seal")
    return content


def test_the_patients_of_the_closed_fold_have_no_part_in_the_choice(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    results = []
    for name in ("as-it-is", "planted"):
        cohort = small_cohort(name, tasks=["survival"], training__rounds="1")
        if name == "planted":
            for site in find_sites(cohort):
                outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
                closed = outcomes["fold"] == "2"
                assert closed.any()
                outcomes.loc[closed, "died"] = (outcomes["died"][closed] == "0").astype(int).astype(str)
                outcomes.to_csv(site / "outcomes.csv", index=False)
                clinical = pd.read_csv(site / "clinical.csv", dtype=str)
                numbers = [f"clinical_{number}" for number in range(1, 5)]
                rows = clinical["patient"].isin(outcomes["patient"][closed])
                clinical.loc[rows, numbers] = "50"
                clinical.to_csv(site / "clinical.csv", index=False)
        folder = tmp_path / name
        (tmp_path / "moved").mkdir(exist_ok=True)
        cohort = folder.rename(tmp_path / "moved" / "cohort")
        result = search(cohort, options(tmp_path / f"out-{name}", fold=2))
        assert result.settings[0].pairs == 2
        results.append((tmp_path / f"out-{name}" / RESULT).read_bytes())
        cohort.rename(tmp_path / f"done-{name}")
    assert results[0] == results[1]


def test_seeds_are_counted_from_that_of_the_file(searched: Searched, tmp_path: Path) -> None:
    lines: list[str] = []
    changed = {"training.seed": "5", "statistics.minimum_count": "1"}
    asked = options(tmp_path / "out", seeds=2, settings=changed)
    result = search(searched.cohort, replace(asked, runs=1), lines)
    assert (result.seeds, result.runs) == ((5, 6), 8)
    (run,) = (tmp_path / "out" / RUNS).iterdir()
    assert run.name.endswith("-fold0-seed5.json")


def test_a_search_that_was_killed_goes_on_to_the_same_result(searched: Searched, tmp_path: Path) -> None:
    cohort, out = searched.cohort, tmp_path / "out"

    first = search(cohort, options(out, runs=1))
    assert (first.finished, first.runs, first.outcome) == (1, 4, "undecided")

    class KilledError(Exception):
        pass

    def kill(line: str) -> None:
        raise KilledError

    before = trained_files(out)
    with pytest.raises(KilledError):
        tune(open_cohort(cohort), options(out), kill)
    second = trained_files(out)
    assert len(second) == 2
    assert before.items() <= second.items()
    lines: list[str] = []
    assert search(cohort, options(out, minutes=0), lines).finished == 2
    assert not lines
    assert search(cohort, options(out, processes=2), lines).is_complete  # in other processes than the first
    assert len(lines) == 2
    assert second.items() <= trained_files(out).items()
    assert (out / RESULT).read_bytes() == (searched.out / RESULT).read_bytes()


def test_more_settings_are_added_to_what_is_there_and_other_folds_are_not(
    searched: Searched, tmp_path: Path
) -> None:
    out = searched.copied(tmp_path / "out")
    lines: list[str] = []
    over = {"training.learning_rate": ("0.02", "0.05")}
    more = search(searched.cohort, options(out, over=over), lines)
    assert len(lines) == 2
    assert [setting.settings["training.learning_rate"] for setting in more.settings] == ["0.02", "0.05"]
    assert more.settings[1].difference == searched.result.settings[0].difference
    assert more.level == pytest.approx(0.975)
    with pytest.raises(StateError):
        search(searched.cohort, options(out, inner_folds=3))
    with pytest.raises(StateError):
        search(searched.cohort, options(out, fold=1))


def test_the_better_setting_is_written_as_a_federation_file_and_taken_back_when_it_is_not(
    searched: Searched, tmp_path: Path
) -> None:
    out = searched.copied(tmp_path / "out")
    better = load(searched.cohort / FILE_NAME).changed({"training.learning_rate": "0.05"})

    rescore(out, lambda run: 0.7 + 0.001 * run.fold if run.settings == better.digest else 0.6)
    chosen = search(searched.cohort, options(out))
    assert (chosen.outcome, chosen.chosen) == ("better", {"training.learning_rate": "0.05"})
    assert load(out / TUNED / FILE_NAME) == better
    assert chosen.settings[0].difference == pytest.approx(0.1005)

    rescore(out, lambda run: 0.6)
    again = search(searched.cohort, options(out))
    assert (again.outcome, again.chosen) == ("none better", None)
    assert not (out / TUNED).exists()


def test_a_federation_that_cannot_be_trained_with_its_own_settings_is_an_error(
    small_cohort: SmallCohort, tmp_path: Path
) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    for number, site in enumerate(find_sites(cohort)):
        outcomes = pd.read_csv(site / "outcomes.csv", dtype=str)
        alone = (outcomes.index == outcomes.index[outcomes["fold"] != "0"][0]) & (number == 0)
        outcomes.assign(died=np.where(alone, "1", "0")).to_csv(site / "outcomes.csv", index=False)
    with pytest.raises(RunFailed):
        search(cohort, options(tmp_path / "out"))
    assert len(trained_files(tmp_path / "out")) == 4
    assert not (tmp_path / "out" / RESULT).exists()


def test_several_tasks_judge_or_those_that_are_named(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort, out = small_cohort(training__rounds="1"), tmp_path / "out"
    every = search(cohort, options(out))
    assert set(every.file_scores) == {"survival", "response", "toxicity"}
    lines: list[str] = []
    named = search(cohort, options(out, tasks=("response",)), lines)
    assert not lines
    assert set(named.file_scores) == {"response"}
    assert named.settings[0].difference == every.settings[0].questions["response"]
    with pytest.raises(OptionError):
        search(cohort, options(out, tasks=("nausea",)))


def test_nothing_is_written_into_the_folders_of_a_cohort(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort(tasks=["survival"], training__rounds="1")
    files = {path: path.read_bytes() for path in cohort.rglob("*") if path.is_file()}
    for out in (cohort, cohort / "hospital-1"):
        with pytest.raises(OptionError):
            search(cohort, options(out, runs=1))
    search(cohort, options(tmp_path / "out", runs=1))
    assert {path: path.read_bytes() for path in cohort.rglob("*") if path.is_file()} == files
