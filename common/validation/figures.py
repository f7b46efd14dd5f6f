"""Figures of a model's predictions for one set of patients, for JSON, tables and pages.

Figures about fewer than `FLOOR` patients of either outcome are left out with their counts: a page may be shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

import numpy as np
from pydantic import Field

from common.assessment.floors import are_few
from common.evaluation.bootstrap import percentile_interval, replicate
from common.evaluation.classification import mean_auroc
from common.evaluation.predictions import (
    ClassPrediction,
    LabelPrediction,
    Prediction,
    SurvivalPrediction,
)
from common.evaluation.survival import c_index, survival_labels
from common.tasks.task import OutcomeForm, Task
from common.validation.brier import Brier, brier_scores
from common.validation.calibration import Curve, Level, level_and_slope, smooth_curve
from common.validation.estimate import IntervalEstimate, ValidationRecord
from common.validation.groups import GroupFigures, group_figures
from common.validation.net_benefit import THRESHOLDS, NetBenefit, net_benefits
from common.validation.observed import Array, Mask, Outcomes, Rows, censoring_weights, observed_risk
from common.validation.ratio import by_kaplan_meier, by_martingale, expected_while_followed
from common.validation.regression import LinkFunction
from common.validation.sums.computing import cells_of, risk_ends
from common.validation.sums.pooling import RiskCell
from common.validation.timed_auc import timed_auc

FLOOR = 5
"""Least patients with an outcome, and without it, of a figure."""
REPLICATES = 200


class WhileFollowed(ValidationRecord):
    """Events that were seen by the horizon, and those expected while patients were followed."""

    events: int
    expected: float
    ratio: IntervalEstimate


class HorizonFigures(ValidationRecord):
    """Figures of the risk by a horizon.

    Attributes:
        horizon: in the task's unit; None for an outcome without a time.
        events, spared: patients with the event by the horizon, and those followed up to it without one; None below the
            floor, where nothing else is given either.
        expected: mean predicted risk.
        observed: risk by Kaplan-Meier.
        ratio: observed to expected by Kaplan-Meier.
        followed: the same by events while patients were followed; None for an outcome without a time.
        auc: area under the ROC curve by the horizon, as in `common.validation.timed_auc`; not given for an outcome
            without a time, whose discrimination it is.
        cells: patients and events by range of predicted risk; none with too few of either outcome.
        level: recalibration, on the complementary log-log for a time to an event and else on the logit.
        curve: smooth calibration.
        brier: score beside that of the null model.
        decisions: net benefit by threshold.
    """

    horizon: float | None
    events: int | None = None
    spared: int | None = None
    expected: float | None = None
    observed: IntervalEstimate = IntervalEstimate()
    ratio: IntervalEstimate = IntervalEstimate()
    followed: WhileFollowed | None = None
    auc: IntervalEstimate = IntervalEstimate()
    cells: tuple[RiskCell, ...] = ()
    level: Level = Level()
    curve: Curve | None = None
    brier: Brier | None = None
    decisions: tuple[NetBenefit, ...] = ()


class OutcomeFigures(ValidationRecord):
    """Figures of an event, a class, an adverse event or a number.

    Attributes:
        name: of the class or adverse event; empty for an event in time, and for a number.
        patients: with a label.
        discrimination: by the task's metric, with a bootstrap interval.
        horizons: one without a time for a class or an adverse event; none for a number.
        groups: division, such as sex -> its groups, at the horizon with most information.
        grouped_by: that horizon.
    """

    name: str
    patients: int
    discrimination: IntervalEstimate
    horizons: tuple[HorizonFigures, ...] = ()
    groups: dict[str, tuple[GroupFigures, ...]] = Field(default_factory=dict)
    grouped_by: float | None = None


class TaskFigures(ValidationRecord):
    """Figures of one task: its kind, the title of its metric, the unit, and its outcomes."""

    task: str
    kind: str
    metric: str
    unit: str
    outcomes: tuple[OutcomeFigures, ...]


def task_figures(
    task: Task,
    prediction: Prediction,
    labels: Array,
    labelled: Mask,
    horizons: Sequence[float] = (),
    thresholds: Sequence[float] = THRESHOLDS,
    divisions: Mapping[str, Sequence[str]] | None = None,
    seed: int = 0,
) -> TaskFigures:
    """Judge a model's predictions for P patients.

    Args:
        task: of the kind of the prediction.
        prediction: for P patients.
        labels, labelled: [P, columns] as in `PatientBatch`.
        horizons: in the task's unit, for a time to an event.
        thresholds: of risk, for the net benefit.
        divisions: division -> group of every patient; an empty text for none.
        seed: of the bootstrap.
    """
    groups = {} if divisions is None else {name: np.array(of) for name, of in divisions.items()}
    judged = _judged(task, prediction, labels, labelled)
    outcomes = tuple(
        _outcome_figures(case, horizons, tuple(thresholds), {n: of[rows] for n, of in groups.items()}, seed)
        for case, rows in judged
    )
    metric = task.metrics[task.headline_metric].title
    if not judged:
        outcomes = (_number(task, prediction, labels, labelled, seed),)
    return TaskFigures(
        task=task.name, kind=task.kind, metric=metric, unit=task.outcome_unit, outcomes=outcomes
    )


class _Case:
    """Patients of one outcome with their predictions."""

    def __init__(
        self, name: str, time: Array, event: Mask, curves: SurvivalPrediction | None, risk: Array
    ) -> None:
        self.name, self.time, self.event, self.curves, self.risk = name, time, event, curves, risk
        self.link = LinkFunction.LOGIT if curves is None else LinkFunction.CLOGLOG

    def at(self, horizon: float | None) -> tuple[Outcomes, Array]:
        """Outcomes by a horizon, and predicted risk [P]."""
        if self.curves is None or horizon is None:
            return Outcomes.without_time(self.event), self.risk
        return Outcomes(self.time, self.event, horizon), 1 - self.curves.at([horizon])[:, 0]

    def concordance(self, rows: Rows) -> float:
        """C-index or AUROC of the patients at these rows."""
        if self.curves is None:
            return mean_auroc([(self.event[rows], self.risk[rows])])
        return c_index(self.time[rows], self.event[rows], self.risk[rows])


def _judged(task: Task, prediction: Prediction, labels: Array, labelled: Mask) -> list[tuple[_Case, Rows]]:
    """Return outcomes of a task with the rows of the labelled patients; none for a number."""
    if isinstance(prediction, SurvivalPrediction):
        rows = np.flatnonzero(labelled.all(axis=1))
        time, event = survival_labels(labels, labelled)
        here = prediction.select(rows)
        return [(_Case("", time, event, here, here.risk), rows)]
    return [
        (_Case(name, np.where(has, 0.0, 1.0), has, None, prediction_of), rows)
        for name, has, prediction_of, rows in _cells(task, prediction, labels, labelled)
    ]


def _cells(
    task: Task, prediction: Prediction, labels: Array, labelled: Mask
) -> Iterator[tuple[str, Mask, Array, Rows]]:
    """Yield name, outcome, probability and rows of every class or adverse event."""
    names = task.outcome_names
    if isinstance(prediction, ClassPrediction):
        rows = np.flatnonzero(labelled[:, 0])
        for index in [1] if len(names) == 2 else range(len(names)):
            yield names[index], labels[rows, 0] == index, prediction.probability[rows, index], rows
    elif isinstance(prediction, LabelPrediction):
        for index, name in enumerate(names):
            rows = np.flatnonzero(labelled[:, index])
            yield name, labels[rows, index] > 0, prediction.probability[rows, index], rows


def _number(task: Task, prediction: Prediction, labels: Array, labelled: Mask, seed: int) -> OutcomeFigures:
    rows = np.flatnonzero(labelled.any(axis=1))

    def metric(drawn: Rows) -> float:
        chosen = rows[drawn]
        return task.headline(prediction.select(chosen), labels[chosen], labelled[chosen])

    if task.form is OutcomeForm.OTHER or len(rows) < FLOOR:
        return OutcomeFigures(name="", patients=len(rows), discrimination=IntervalEstimate())
    low, high = percentile_interval(replicate(metric, len(rows), seed, REPLICATES))
    return OutcomeFigures(
        name="",
        patients=len(rows),
        discrimination=IntervalEstimate.of(metric(np.arange(len(rows))), low, high),
    )


def _outcome_figures(
    case: _Case,
    horizons: Sequence[float],
    thresholds: tuple[float, ...],
    divisions: Mapping[str, np.ndarray],
    seed: int,
) -> OutcomeFigures:
    asked: Sequence[float | None] = [None] if case.curves is None else horizons
    patients = len(case.event)
    everyone = np.arange(patients)
    concordance = IntervalEstimate()
    if FLOOR <= case.event.sum() <= (patients if case.curves is not None else patients - FLOOR):
        drawn = replicate(case.concordance, patients, seed, REPLICATES)
        concordance = IntervalEstimate.of(case.concordance(everyone), *percentile_interval(drawn))
    figures = tuple(_horizon_figures(case, horizon, thresholds, seed) for horizon in asked)
    with_figures = [by for by in figures if by.events is not None]
    best = max(with_figures, key=_information, default=None)
    groups = {}
    if best is not None:
        outcomes, risk = case.at(best.horizon)
        groups = {
            name: group_figures(of, outcomes, risk, case.concordance, FLOOR) for name, of in divisions.items()
        }
    return OutcomeFigures(
        name=case.name,
        patients=patients,
        discrimination=concordance,
        horizons=figures,
        groups=groups,
        grouped_by=None if best is None else best.horizon,
    )


def _information(figures: HorizonFigures) -> int:
    return min(figures.events or 0, figures.spared or 0)


def _horizon_figures(
    case: _Case, horizon: float | None, thresholds: tuple[float, ...], seed: int
) -> HorizonFigures:
    outcomes, risk = case.at(horizon)
    events, spared = int(outcomes.had.sum()), int(outcomes.spared.sum())
    if min(events, spared) < FLOOR:
        return HorizonFigures(horizon=horizon)
    observed, weights = observed_risk(outcomes), censoring_weights(outcomes)
    followed = None
    if case.curves is not None:
        expected = float(expected_while_followed(outcomes, case.curves).sum())
        followed = WhileFollowed(events=events, expected=expected, ratio=by_martingale(events, expected))
    scores = _resampled(outcomes, risk, thresholds, seed)
    return HorizonFigures(
        horizon=horizon,
        events=events,
        spared=spared,
        expected=float(risk.mean()),
        observed=IntervalEstimate.around(observed.risk, observed.error),
        ratio=by_kaplan_meier(observed, float(risk.mean())),
        followed=followed,
        auc=IntervalEstimate() if case.curves is None else _auc(outcomes, risk, seed),
        cells=tuple(_cells_of(outcomes, risk)),
        level=level_and_slope(outcomes, risk, weights, case.link),
        curve=smooth_curve(outcomes, risk, weights, case.link),
        brier=scores[0],
        decisions=scores[1],
    )


def _auc(outcomes: Outcomes, risk: Array, seed: int) -> IntervalEstimate:
    drawn = replicate(lambda rows: timed_auc(outcomes.select(rows), risk[rows]), len(risk), seed, REPLICATES)
    return IntervalEstimate.of(timed_auc(outcomes, risk), *percentile_interval(drawn))


def _cells_of(outcomes: Outcomes, risk: Array) -> Iterator[RiskCell]:
    """Yield ranges of predicted risk with enough patients of either outcome."""
    cell = cells_of(risk)
    for start, end in pairwise([-1, *risk_ends(outcomes, risk, FLOOR)]):
        rows = np.flatnonzero((cell > start) & (cell <= end))
        here = outcomes.select(rows)
        observed = observed_risk(here)
        yield RiskCell(
            patients=len(rows),
            events=int(here.had.sum()),
            expected=float(risk[rows].mean()),
            observed=IntervalEstimate.around(observed.risk, observed.error),
        )


def _resampled(
    outcomes: Outcomes, risk: Array, thresholds: tuple[float, ...], seed: int
) -> tuple[Brier, tuple[NetBenefit, ...]]:
    """Brier score and net benefit with bootstrap intervals, of the same draws."""

    def all_of(rows: Rows) -> Array:
        drawn, risks = outcomes.select(rows), risk[rows]
        model, null = brier_scores(drawn, risks)
        return np.concatenate([[model, null], net_benefits(drawn, risks, thresholds).ravel()])

    whole = all_of(np.arange(len(risk)))
    drawn = replicate(all_of, len(risk), seed, REPLICATES)
    gain = IntervalEstimate.of(whole[1] - whole[0], *percentile_interval(drawn[:, 1] - drawn[:, 0]))
    scores = [IntervalEstimate.of(float(score)).value for score in (*whole[:2], 1 - whole[0] / whole[1])]
    brier = Brier(model=scores[0], null=scores[1], gain=gain, skill=scores[2])
    decisions = []
    for index, threshold in enumerate(thresholds):
        model, everyone = (column + 2 * index for column in (2, 3))
        treated = int((risk >= threshold).sum())
        if are_few(min(treated, len(risk) - treated), FLOOR):
            all_treated = IntervalEstimate.of(whole[everyone]).value
            decisions.append(NetBenefit(threshold=threshold, treated=None, everyone=all_treated))
            continue
        difference = IntervalEstimate.of(
            whole[model] - whole[everyone], *percentile_interval(drawn[:, model] - drawn[:, everyone])
        )
        decisions.append(
            NetBenefit(
                threshold=threshold,
                treated=treated / len(risk),
                model=IntervalEstimate.of(whole[model], *percentile_interval(drawn[:, model])),
                everyone=IntervalEstimate.of(whole[everyone]).value,
                above_everyone=difference,
            )
        )
    return brier, tuple(decisions)
