"""Sentences on hospitals without a part, a model or a figure."""

from collections.abc import Callable

from simulations.report.words.absences import absence_sentences, figure_gaps, reason_sentences
from simulations.results.reasons import FEW_HELD_OUT, NO_LABELS, Absent, Lacking, Reason
from simulations.results.schema import SimulationResult

MakeResult = Callable[..., SimulationResult]


def reason(lacks: Lacking, code: str = "no-labels") -> Reason:
    return Reason(lacks=lacks, folds=(1, 2), code=code, text=NO_LABELS.text)


def test_hospitals_with_one_cause_share_a_sentence_and_lost_rounds_have_their_own() -> None:
    whole = [Absent(site=site, code="device-unavailable", text="No GPU.") for site in ("north", "south")]
    some = Absent(site="west", code="error-8", text="It ended.", rounds=(2, 3))
    first, second = absence_sentences([*whole, some], "fold 1")
    assert "north, south" in first
    assert "No GPU." in first
    assert "west" in second
    assert "2 rounds" in second


def test_tasks_and_hospitals_alike_are_named_together_and_once() -> None:
    lacking = (reason("part"), reason("model"), reason("linear-model"))
    refusing = (reason("part", "device-unavailable"), reason("model", "device-unavailable"))
    of_task = {"north": lacking, "south": lacking, "west": refusing}
    without, refused = reason_sentences({"response": of_task, "toxicity": of_task})
    assert all(name in without for name in ("north, south", "response, toxicity", NO_LABELS.text))
    assert "west" in refused
    assert "federated" not in refused, "that is said of the run"


def test_hospitals_without_a_figure_are_named_below_their_table(make_result: MakeResult) -> None:
    result = make_result(sites=3, tasks=("response",))
    sites = dict(result.sites["response"])
    few = Reason(lacks="figure", folds=(1, 2), **FEW_HELD_OUT.model_dump())
    sites["Hospital 01"] = sites["Hospital 01"].model_copy(update={"reasons": (few,)})
    (gap,) = figure_gaps(result.model_copy(update={"sites": {"response": sites}}), "response")
    assert gap.code == "few-held-out"
    assert "Hospital 01" in gap.text
    assert reason_sentences({"response": {"Hospital 01": (few,)}}) == []
