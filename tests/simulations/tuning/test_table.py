import io

from rich.console import Console

from simulations.results.schema import FederationName
from simulations.tuning.result import FileScore, JudgedSetting, TuningResult, Verdict
from simulations.tuning.table import print_tuning, sentences


def setting(value: str, difference: float | None, verdict: Verdict) -> JudgedSetting:
    low, high = (None, None) if difference is None else (difference - 0.015, difference + 0.015)
    return JudgedSetting(
        settings={"model.dropout": value},
        digest="d" * 64,
        difference=difference,
        low=low,
        high=high,
        pairs=0 if difference is None else 15,
        failed=0,
        questions={"survival": difference},
        verdict=verdict,
    )


def result(
    *settings: JudgedSetting, chosen: dict[str, str] | None = None, finished: int = 45
) -> TuningResult:
    return TuningResult(
        cohort="small",
        federation=FederationName(name="small", digest="f" * 64),
        changed={"training.rounds": "9"},
        closed_fold=0,
        inner_folds=5,
        seeds=(0, 1, 2),
        level=0.975,
        runs=45,
        finished=finished,
        file_scores={"survival": FileScore(metric="c_index", mean=0.6543)},
        settings=settings,
        chosen=chosen,
    )


def printed(shown: TuningResult) -> str:
    console = Console(file=io.StringIO(), width=80)
    print_tuning(shown, console)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_settings_are_shown_best_first_with_interval_and_pairs() -> None:
    shown = printed(result(setting("0.1", -0.01, "not better"), setting("0.3", 0.02, "better")))
    lines = [line for line in shown.splitlines() if "model.dropout" in line]
    assert lines[0].split()[:5] == ["model.dropout=0.3", "+0.020", "+0.005", "to", "+0.035"]
    assert "-0.010" in lines[1]
    assert "C-index" in shown
    assert "0.654" in shown


def test_the_choice_is_told_as_options_with_the_settings_of_the_whole_search() -> None:
    chosen = result(setting("0.3", 0.02, "better"), chosen={"model.dropout": "0.3"})
    assert chosen.outcome == "better"
    assert "--set training.rounds=9 --set model.dropout=0.3" in sentences(chosen)
    assert "--set training.rounds=9 --set model.dropout=0.3" in printed(chosen)


def test_no_better_setting_is_an_outcome_and_too_few_runs_another() -> None:
    none, few = result(setting("0.1", -0.01, "not better")), result(setting("0.1", None, "undecided"))
    assert (none.outcome, few.outcome) == ("none better", "undecided")
    assert len({*sentences(none), *sentences(few)}) == 2
    assert not any("--set" in sentence for sentence in (*sentences(none), *sentences(few)))


def test_runs_that_are_left_are_counted() -> None:
    whole, part = (result(setting("0.1", -0.01, "not better"), finished=number) for number in (45, 40))
    assert whole.is_complete
    assert not part.is_complete
    (left,) = {*sentences(part)} - {*sentences(whole)}
    assert "5 runs" in left
