from collections.abc import Callable
from pathlib import Path

import pytest

from common.agreement.federation import FILE_NAME, load
from common.errors import StateError
from common.lifetime.signals import Ended, exit_code
from simulations.benchmarks.field.cohort_runs import (
    CohortRuns,
    kept_when_interrupted,
    require_same_tables,
)
from simulations.benchmarks.field.rows import OURS, ROWS, applicable
from simulations.cohorts.cohort_folder import open_cohort
from simulations.experiment.arms import Job, train_side_by_side
from simulations.results.reasons import Cause

SmallCohort = Callable[..., Path]
Heard = list[tuple[int, int]]

CHOSEN = [row for row in ROWS if row.name in ("proteomics", "federated-linear", OURS)]


@pytest.fixture(autouse=True)
def _in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulations.benchmarks.field.cohort_runs.available_cores", lambda: 1)


def runs(cohort: Path, work: Path, out: Path, folds: int = 1) -> CohortRuns:
    work.mkdir()
    return CohortRuns(open_cohort(cohort), (4,), folds, work, out)


def test_rows_share_runs_and_nothing_is_trained_twice(
    small_cohort: SmallCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cohort = small_cohort(tasks=["response"], training__linear_rounds="1")
    trained: list[Path] = []

    def counted(job: Job) -> None:
        from simulations.experiment.arms import train_federation

        trained.append(job.out)
        train_federation(job)

    monkeypatch.setattr("simulations.experiment.arms._attempt", counted)
    first = runs(cohort, tmp_path / "first", tmp_path / "out")
    rows, left_out = applicable(CHOSEN, first.federation)
    assert not left_out
    heard: Heard = []
    assert first.train(rows, lambda done, all_: heard.append((done, all_))) == {}
    assert heard == [(1, 2), (2, 2)]
    figures = {name: first.figures(*pair)[0] for name, pair in rows.items()}
    assert len(trained) == 2
    assert figures[OURS].scores.keys() == {"response"}
    assert figures["federated-linear"].digests == figures[OURS].digests != figures["proteomics"].digests

    again = runs(cohort, tmp_path / "again", tmp_path / "out")
    again.train(rows, lambda done, all_: heard.append((done, all_)))
    assert {name: again.figures(*pair)[0] for name, pair in rows.items()} == figures
    assert len(trained) == 2
    assert len(heard) == 2

    (tmp_path / "out" / "ours-seed4.json").unlink()
    scored_again = runs(cohort, tmp_path / "scored", tmp_path / "out")
    scored_again.train(rows, lambda done, all_: None)
    assert scored_again.figures(*rows[OURS])[0].scores == figures[OURS].scores
    assert len(trained) == 2

    more = runs(cohort, tmp_path / "more", tmp_path / "out", folds=2)
    more.train({OURS: rows[OURS]}, lambda done, all_: None)
    assert len(trained) == 3
    assert more.figures(*rows[OURS])[0].folds == (0, 1)


def test_other_settings_are_other_runs(small_cohort: SmallCohort, tmp_path: Path) -> None:
    cohort = small_cohort(tasks=["response"])
    first = runs(cohort, tmp_path / "first", tmp_path / "out")
    rows, _ = applicable([ROWS[-1]], first.federation)
    first.train(rows, lambda done, all_: None)
    before = first.figures(*rows[OURS])[0]
    federation = load(cohort / FILE_NAME).changed({"training.learning_rate": "0.02"})
    other = small_cohort("other", tasks=["response"], training__learning_rate="0.02")
    second = runs(other, tmp_path / "second", tmp_path / "out")
    assert second.federation.training == federation.training
    second.train(rows, lambda done, all_: None)
    assert second.figures(*rows[OURS])[0].digests != before.digests


def test_a_run_that_cannot_be_trained_is_named(
    small_cohort: SmallCohort, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(jobs: list[Job], processes: int, on_done: Callable[[Job, Cause | None], None]) -> None:
        train_side_by_side(jobs[:0], processes, on_done)
        for job in jobs:
            on_done(job, Cause(code="gone", text="The machine left."))

    monkeypatch.setattr("simulations.benchmarks.field.cohort_runs.train_side_by_side", fails)
    unlucky = runs(small_cohort(), tmp_path / "work", tmp_path / "out")
    rows, _ = applicable([ROWS[-1]], unlucky.federation)
    (reason,) = unlucky.train(rows, lambda done, all_: None).items()
    assert reason[0] == "Ours"
    assert "fold 0 with seed 4" in reason[1]
    assert "The machine left." in reason[1]


def test_runs_on_other_tables_are_not_gone_on_with(small_cohort: SmallCohort, tmp_path: Path) -> None:
    folder, out = small_cohort(), tmp_path / "out"
    for _ in range(2):
        require_same_tables(open_cohort(folder), out)
    changed = next(folder.glob("*/outcomes.csv"))
    *rows, _last = changed.read_text().splitlines()
    changed.write_text("\n".join(rows) + "\n")
    with pytest.raises(StateError, match=str(out)):
        require_same_tables(open_cohort(folder), out)
    require_same_tables(open_cohort(folder), tmp_path / "another")


@pytest.mark.parametrize("interruption", [KeyboardInterrupt(), Ended(15)])
def test_an_interruption_says_where_finished_runs_are(
    interruption: KeyboardInterrupt, tmp_path: Path
) -> None:
    with pytest.raises(KeyboardInterrupt, match=str(tmp_path)) as told, kept_when_interrupted(tmp_path):
        raise interruption
    assert exit_code(told.value) == exit_code(interruption)
    with pytest.raises(KeyboardInterrupt) as untold, kept_when_interrupted(None):
        raise KeyboardInterrupt
    assert not str(untold.value)
