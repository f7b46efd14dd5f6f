import re
import xml.etree.ElementTree as ET
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from lifelines import KaplanMeierFitter
from sklearn.metrics import roc_auc_score

from common.evaluation.predictions import ClassPrediction, LabelPrediction, SurvivalPrediction
from simulations.families.patients.evidence import PatientEvidence
from simulations.report.outcomes.curves import calibration_curve, time_axis
from simulations.report.outcomes.discrimination import discrimination, score_shares
from simulations.report.outcomes.evidence import HeldOutPatients, TaskEvidence
from simulations.report.outcomes.survival_curves import risk_curves
from simulations.report.plots.arm_plots import arm_plot, site_plot
from simulations.report.plots.frame import frame_rows, one_panel
from simulations.report.plots.learning_plots import learning_curves, learning_plots
from simulations.report.plots.outcome_plots import (
    calibration_plot,
    label_plot,
    p_text,
    risk_plot,
    roc_plot,
    score_plot,
)
from simulations.report.plots.style import Plot
from simulations.results.schema import ARM_NAMES, RoundScores, SimulationResult, summarise

MakeResult = Callable[..., SimulationResult]
MakeEvidence = Callable[..., PatientEvidence]


def texts(plot: Plot | None) -> list[str]:
    """All text in a drawing, which must be well-formed once the prefix of its links is declared."""
    drawing = "" if plot is None else str(plot.chart.svg)
    root = ET.fromstring(drawing.replace("<svg", '<svg xmlns:xlink="x"', 1))
    return ["".join(element.itertext()).strip() for element in root.iter("text")]


def test_every_arm_is_named_and_an_arm_that_was_not_run_is_not(make_result: MakeResult) -> None:
    shown = texts(arm_plot(make_result(), "overall_survival"))
    assert {ARM_NAMES["federated"], ARM_NAMES["local"], ARM_NAMES["cox"]} <= set(shown)
    assert ARM_NAMES["logistic"] not in shown


@pytest.mark.parametrize(("metric", "chance"), [("auroc", 0.5), ("r2", 0.0), ("of_a_plugin", None)])
def test_chance_is_marked_where_the_metric_has_it(metric: str, chance: float | None) -> None:
    axes = one_panel(2)[1]
    frame_rows(axes, ["one", "another"], [0.55 if metric == "auroc" else -0.1, 0.7], "score", metric)
    marked = [np.asarray(line.get_xdata()).tolist()[0] for line in axes.get_lines()]
    assert marked == ([] if chance is None else [chance])
    assert axes.get_xlim()[0] < (0.5 if metric == "auroc" else -0.1)


@pytest.mark.parametrize("sites", [1, 2, 21, 40])
def test_every_hospital_has_a_row_and_a_long_name_is_cut(make_result: MakeResult, sites: int) -> None:
    shown = texts(site_plot(make_result(sites=sites), "response"))
    assert sum("Hospital " in text for text in shown) == sites - 1
    assert any(re.fullmatch(r"Universitätsklinik.*….*east wing> \(\d+\)", text) for text in shown)
    assert all(len(text) < 50 for text in shown)


def test_undefined_scores_are_dashes_and_nothing_at_all_is_no_figure(make_result: MakeResult) -> None:
    result = make_result(sites=3, tasks=("response",))
    sites = dict(result.sites["response"])
    sites["Hospital 01"] = sites["Hospital 01"].model_copy(update={"local": None})
    assert "—" in texts(site_plot(result.model_copy(update={"sites": {"response": sites}}), "response"))
    nothing = {arm: {"auroc": summarise([None, None])} for arm in result.arms("response")}
    assert arm_plot(result.model_copy(update={"tasks": {"response": nothing}}), "response") is None
    assert site_plot(result.model_copy(update={"sites": {}}), "response") is None


@pytest.mark.parametrize("folds", [1, 2, 4, 10])
def test_learning_curves_show_losses_and_each_task(make_result: MakeResult, folds: int) -> None:
    result = make_result(sites=2, folds=folds)
    plot = learning_curves(result)
    assert plot is not None
    shown = texts(plot)
    assert {
        "Loss",
        "Concordance, overall survival",
        "Concordance, toxicity",
        "training",
        "validation",
    } <= set(shown)
    assert ("fold 2" in shown) == (folds in (2, 4))
    marks = [line for line in plot.figure.axes[0].get_lines() if line.get_marker() == "o"]
    marked = [round_ for mark in marks for round_ in np.asarray(mark.get_xdata()).tolist()]
    assert marked == [fold.best_round for fold in result.folds]
    assert [panel.title for panel in learning_plots(result)] == [
        axes.get_title(loc="left")
        for axes in plot.figure.axes[: len(result.tasks) + 1]
        if axes.get_title(loc="left")
    ]
    assert f"round {result.folds[0].best_round} was kept" in plot.finding


def test_a_mean_of_rounds_marks_none_of_them(make_result: MakeResult) -> None:
    result = make_result(sites=2)
    folds = tuple(fold.model_copy(update={"best_round": None}) for fold in result.folds)
    plot = learning_curves(result.model_copy(update={"folds": folds}))
    assert plot is not None
    assert "round kept" not in texts(plot)
    assert "was kept" not in plot.finding


def test_rounds_without_a_loss_have_no_learning_curves(make_result: MakeResult) -> None:
    rounds = tuple(RoundScores(round=number) for number in range(1, 5))
    assert learning_curves(make_result(sites=1).model_copy(update={"history": (rounds, rounds)})) is None


def test_without_rounds_there_are_no_learning_curves(make_result: MakeResult) -> None:
    assert learning_curves(make_result(sites=1).model_copy(update={"history": ()})) is None


def test_risk_curves_are_kaplan_meier_by_third_on_a_grid(make_evidence: MakeEvidence) -> None:
    survival = make_evidence(patients=240, folds=1).tasks["overall_survival"]
    fold = replace(survival.folds[0], groups=["all"] * 240)
    curves = risk_curves(TaskEvidence(survival.task, [fold]))
    assert curves is not None
    assert curves.unit == "years"
    assert curves.p_value < 0.001
    assert not curves.within
    known = fold.labelled.all(axis=1)
    assert isinstance(fold.prediction, SurvivalPrediction)
    risk, labels = fold.prediction.risk[known], fold.labels[known]
    highest = risk >= np.quantile(risk, 2 / 3)
    reference = KaplanMeierFitter().fit(labels[highest, 0] / 365.25, labels[highest, 1])
    drawn = np.isfinite(curves.curves[2].survival)
    expected = reference.predict(curves.grid[drawn]).to_numpy()
    assert np.allclose(curves.curves[2].survival[drawn], expected, atol=0.03)
    assert sum(int(curve.at_risk[0]) for curve in curves.curves) == known.sum()


def test_thirds_are_taken_within_subgroups(make_evidence: MakeEvidence) -> None:
    survival = make_evidence(patients=240, folds=1).tasks["overall_survival"]
    fold = survival.folds[0]
    known = fold.labelled.all(axis=1)
    by_diagnosis = np.where(np.arange(240) < 120, 100.0, 0.0)
    assert isinstance(fold.prediction, SurvivalPrediction)
    shifted = replace(fold.prediction, risk=fold.prediction.risk + by_diagnosis)
    groups = ["a"] * 120 + ["b"] * 120
    plain, moved = (
        risk_curves(TaskEvidence(survival.task, [replace(fold, groups=groups, prediction=prediction)]))
        for prediction in (fold.prediction, shifted)
    )
    assert plain is not None
    assert moved is not None
    assert plain.within
    for one, other in zip(plain.curves, moved.curves, strict=True):
        assert np.array_equal(one.survival, other.survival, equal_nan=True)
    assert known.sum() == sum(int(curve.at_risk[0]) for curve in plain.curves)


def test_curves_end_and_counts_are_hidden_where_fewer_than_five_are_left(make_evidence: MakeEvidence) -> None:
    curves = risk_curves(make_evidence(patients=60, folds=1).tasks["overall_survival"])
    assert curves is not None
    for curve in curves.curves:
        few = np.interp(curves.grid, curves.ticks, curve.at_risk) < 1
        assert np.isnan(curve.survival[few]).all()
    assert not {"1", "2", "3", "4"} & set(texts(risk_plot(curves))) - {f"{tick:g}" for tick in curves.ticks}


def test_too_few_patients_give_no_curve(make_evidence: MakeEvidence) -> None:
    few = make_evidence(patients=9, folds=1)
    assert risk_curves(few.tasks["overall_survival"]) is None
    empty = few.tasks["overall_survival"]
    unlabelled = replace(empty.folds[0], labelled=np.zeros_like(empty.folds[0].labelled))
    nothing = TaskEvidence(empty.task, [unlabelled])
    assert risk_curves(nothing) is None
    assert calibration_curve(nothing) is None
    assert time_axis(nothing) is None


def test_calibration_of_survival_is_judged_at_a_round_time(make_evidence: MakeEvidence) -> None:
    curve = calibration_curve(make_evidence().tasks["overall_survival"])
    assert curve is not None
    assert re.search(r"\b\d+ years?$", curve.event)
    assert (curve.points.count >= 5).all()
    assert "Observed" in texts(calibration_plot(curve))


def test_roc_is_that_of_the_second_class_and_agrees_with_scikit_learn(make_evidence: MakeEvidence) -> None:
    response = make_evidence(folds=1).tasks["response"]
    found = discrimination(response)
    fold = response.folds[0]
    known = fold.labelled[:, 0]
    assert isinstance(fold.prediction, ClassPrediction)
    expected = roc_auc_score(fold.labels[known, 0], fold.prediction.probability[known, 1])
    assert [each.name for each in found] == ["response"]
    assert found[0].auroc == pytest.approx(expected)
    assert np.trapezoid(found[0].sensitivity, np.linspace(0, 1, 51)) == pytest.approx(expected, abs=0.02)
    assert f"response {expected:.3f}" in texts(roc_plot(found))


def test_shares_of_scores_add_to_one_in_each_class(make_evidence: MakeEvidence) -> None:
    shares = score_shares(make_evidence().tasks["response"])
    assert {name: pytest.approx(1.0) for name in ("progressive disease", "response")} == {
        name: share.sum() for name, share in shares.items()
    }
    assert "True class" in texts(score_plot(shares, "response"))


@pytest.mark.parametrize("names", [("rash",), tuple(f"event_{number}" for number in range(25))])
def test_adverse_events_are_named_with_their_cases(make_evidence: MakeEvidence, names: Sequence[str]) -> None:
    toxicity = make_evidence(folds=1).tasks["toxicity"]
    task = toxicity.task.model_copy(update={"labels": tuple(names)})
    generator = np.random.default_rng(1)
    labels = (generator.random((200, len(names))) < 0.3).astype(float)
    labels[:, 0] = 0
    fold = HeldOutPatients(
        labels, labels >= 0, LabelPrediction(generator.random(labels.shape)), ["all"] * 200
    )
    found = discrimination(TaskEvidence(task, [fold]))
    assert np.isnan(found[0].auroc)
    if len(names) == 1:
        assert label_plot(found) is None
    else:
        shown = texts(label_plot(found))
        assert {"event 0 (<5 cases)", "too few cases"} <= set(shown)
        assert sum("cases)" in text for text in shown) == 25


def test_p_values_are_printed_as_in_a_paper() -> None:
    assert [p_text(value) for value in (0.0001, 0.04, float("nan"))] == [
        "p < 0.001",
        "p = 0.040",
        "p undefined",
    ]
