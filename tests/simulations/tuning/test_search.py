from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from client.data.cohort import Cohort
from client.families.played import read_played
from common.agreement.federation import load
from common.evaluation.survival import c_index
from common.models.registry import build_model
from simulations.cohorts.cohort_folder import open_cohort
from simulations.experiment.arms import Job, read_trained, train_federation
from simulations.experiment.options import ExperimentOptions
from simulations.experiment.preparing import make_plan
from simulations.families.patients.prediction import predict
from simulations.results.reasons import Cause
from simulations.tuning import search
from simulations.tuning.finished import FinishedRuns, SearchFile, TuningRun
from simulations.tuning.grid import Candidate
from simulations.tuning.inner_folds import draw_inner_folds
from simulations.tuning.search import Search, Step

SmallCohort = Callable[..., Path]
OnDone = Callable[[Job, Cause | None], None]


@pytest.fixture
def prepared(small_cohort: SmallCohort, tmp_path: Path) -> tuple[Search, Candidate]:
    cohort, work = small_cohort(tasks=["survival"], training__rounds="1"), tmp_path / "work"
    plan = make_plan(open_cohort(cohort), ExperimentOptions(), work / "outer")
    inner = draw_inner_folds(plan, None, 2, work)
    description = SearchFile(closed_fold=0, inner_folds=2, patients=inner.digest, code="c", device=None)
    finished = FinishedRuns(tmp_path / "out", description)
    return Search(plan, inner, finished, work, None), Candidate({}, plan.federation)


def conduct(searching: Search, steps: Sequence[Step]) -> list[tuple[Step, TuningRun]]:
    ended: list[tuple[Step, TuningRun]] = []
    searching.train(steps, 1, lambda step, run: ended.append((step, run)), lambda: False)
    return ended


def test_a_run_has_the_score_of_its_model_on_the_patients_of_its_inner_fold(
    prepared: tuple[Search, Candidate], monkeypatch: pytest.MonkeyPatch
) -> None:
    scores, jobs = [], []

    def look(asked: Sequence[Job], processes: int, on_done: OnDone, is_over: Callable[[], bool]) -> None:
        for job in asked:
            train_federation(job)
            agreement, trained = load(job.agreement), read_trained(job.out)
            time, event, risk = [], [], []
            inside = 0
            for site in job.sites:
                cohort = read_played(site, agreement)
                assert isinstance(cohort, Cohort)
                held = cohort.batch.select(cohort.fold == job.fold)
                inside += len(cohort.batch) - len(held)
                labels = held.labels["survival"].numpy()
                predicted = predict(
                    trained.result, build_model(agreement, job.agreement.parent, 0), agreement, held
                )
                time.append(labels[:, 0])
                event.append(labels[:, 1] > 0)
                risk.append(predicted["survival"].risk)  # type: ignore[attr-defined]
            assert len(time) == 3
            seen = sum(site.patients["patients"] for site in trained.rounds[0].sites.values())
            assert seen < inside, "validation patients are taken from those of the other inner folds"
            scores.append(c_index(*map(np.concatenate, (time, event, risk))))
            jobs.append(job)
            on_done(job, None)

    monkeypatch.setattr(search, "train_side_by_side", look)
    searching, candidate = prepared
    ended = conduct(searching, [Step(candidate, fold, 0) for fold in (0, 1)])
    assert [run.scores["survival"] for _, run in ended] == pytest.approx(scores)
    assert all(run.trained and run.seconds for _, run in ended)
    assert len({site for job in jobs for site in job.sites}) == 6, "runs share no folder"
    assert not any(path.exists() for job in jobs for path in (job.out, *job.sites))
    assert [searching.run(step) for step, _ in ended] == [run for _, run in ended]


def test_a_run_that_cannot_be_trained_is_kept_as_such(prepared: tuple[Search, Candidate]) -> None:
    searching, candidate = prepared
    strict = candidate.agreement.changed({"statistics.minimum_count": "1000"})
    step = Step(Candidate({"statistics.minimum_count": "1000"}, strict), 1, 0)
    assert searching.run(step) is None
    ((_, run),) = conduct(searching, [step])
    assert (run.trained, run.scores) == (False, {})
    assert searching.run(step) == run
    assert searching.run(Step(candidate, 1, 0)) is None
