import pytest

from common.agreement.federation import Federation
from simulations.tuning.finished import TuningRun
from simulations.tuning.grid import Candidate
from simulations.tuning.result import JudgedSetting
from simulations.tuning.verdicts import Judge, choose

FOLDS, SEEDS = (0, 1, 2, 3, 4), (0, 1, 2)
Runs = dict[tuple[int, int], TuningRun]


def runs(*scores: float | None, failed: tuple[int, int] | None = None, **more: float) -> Runs:
    """Runs on all folds and seeds, with a score of `survival` that is the same in a fold."""
    made = {}
    for fold, score in zip(FOLDS, scores * len(FOLDS) if len(scores) == 1 else scores, strict=True):
        for seed in SEEDS:
            trained = (fold, seed) != failed
            kept = {"survival": score, **more} if trained else {}
            made[fold, seed] = TuningRun(settings="s", fold=fold, seed=seed, trained=trained, scores=kept)
    return made


@pytest.fixture
def candidate(federation: Federation) -> Candidate:
    return Candidate({"model.dropout": "0.1"}, federation.changed({"model.dropout": "0.1"}))


def judge(file_runs: Runs, questions: tuple[str, ...] = ("survival",)) -> Judge:
    return Judge(file_runs, FOLDS, SEEDS, questions, settings=4)


def test_a_setting_is_better_if_its_interval_is_above_0(candidate: Candidate) -> None:
    judged = judge(runs(0.6)).judge(candidate, runs(0.63, 0.65, 0.64, 0.65, 0.63))
    assert judged.verdict == "better"
    assert judged.difference == pytest.approx(0.04)
    assert judged.low is not None
    assert 0 < judged.low < 0.04
    assert judged.pairs == 15
    varied = judge(runs(0.6)).judge(candidate, runs(0.5, 0.8, 0.5, 0.8, 0.6))
    assert varied.difference == pytest.approx(0.04)
    assert varied.verdict == "not better"


def test_a_setting_that_changes_nothing_is_not_better(candidate: Candidate) -> None:
    assert judge(runs(0.6)).judge(candidate, runs(0.6)).verdict == "not better"


def test_a_setting_that_cannot_always_be_trained_is_not_chosen(candidate: Candidate) -> None:
    judged = judge(runs(0.6)).judge(candidate, runs(0.7, failed=(1, 1)))
    assert (judged.verdict, judged.failed, judged.pairs) == ("not trained", 1, 14)
    assert choose([judged]) is None


def test_few_runs_decide_nothing(candidate: Candidate) -> None:
    first = {key: run for key, run in runs(0.7).items() if key[0] == 0}
    judged = judge(runs(0.6)).judge(candidate, first)
    assert (judged.verdict, judged.low, judged.pairs) == ("undecided", None, 3)
    assert judge({}).judge(candidate, {}).difference is None


def test_several_questions_count_alike_where_they_have_a_score(candidate: Candidate) -> None:
    both = judge(runs(0.6, response=0.5), ("survival", "response"))
    judged = both.judge(candidate, runs(0.7, response=0.54))
    assert judged.questions == {"survival": pytest.approx(0.1), "response": pytest.approx(0.04)}
    assert judged.difference == pytest.approx(0.07)
    undefined = both.judge(candidate, runs(None, response=0.54))
    assert undefined.questions["survival"] is None
    assert undefined.difference == pytest.approx(0.04)
    assert judge(runs(0.6, response=0.5)).judge(candidate, runs(0.7, response=0)).difference == pytest.approx(
        0.1
    )


def test_the_score_of_the_file_is_the_mean_over_its_runs() -> None:
    scored = judge(runs(0.5, 0.6, 0.7, 0.6, None)).file_scores({"survival": "c_index", "response": "auroc"})
    assert scored["survival"].metric == "c_index"
    assert scored["survival"].mean == pytest.approx(0.6)
    assert set(scored) == {"survival"}


def test_the_better_setting_whose_interval_begins_highest_is_chosen(candidate: Candidate) -> None:
    judging = judge(runs(0.6))
    settings: list[JudgedSetting] = [
        judging.judge(candidate, runs(*scores))
        for scores in ((0.61,), (0.61, 0.75, 0.61, 0.75, 0.61), (0.63,), (0.5,))
    ]
    assert choose(settings) is settings[2]
    assert choose(settings[3:]) is None
    assert choose([]) is None
