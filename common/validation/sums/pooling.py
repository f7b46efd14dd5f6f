"""Figures of one outcome over hospitals, from their sums.

Under censoring, counts of patients are of an effective size: as many as would have given so many events at the observed
risk without censoring (Dorey & Korn 1987).
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from common.agreement.federation import Federation
from common.tasks.task import Task
from common.validation.estimate import IntervalEstimate, ValidationRecord
from common.validation.groups import concordance_estimate
from common.validation.meta_analysis import Pooled, Scale, concordance_error, pool
from common.validation.net_benefit import NetBenefit, weight_of
from common.validation.observed import Array, ObservedRisk
from common.validation.ratio import by_kaplan_meier, by_martingale
from common.validation.sums.possible import are_possible
from common.validation.sums.shapes import RISKS, group_names, horizons_asked, main_horizon, times_of

Arrays = Mapping[str, Array]


class HospitalTable(ValidationRecord):
    """Figures of one hospital by a horizon, as in `HorizonTable`."""

    patients: int
    events: int
    expected: float
    observed: IntervalEstimate
    ratio: IntervalEstimate
    brier: float
    null: float
    auc: IntervalEstimate = IntervalEstimate()


class HorizonTable(ValidationRecord):
    """Figures by a horizon.

    Attributes:
        horizon: in the task's unit; None for a class or adverse event.
        index: of the horizon among those that are asked.
        patients, events: of the hospitals with figures.
        expected: mean predicted risk.
        observed: risk by Kaplan-Meier, the mean over hospitals' patients.
        ratio: observed to expected.
        followed: events to expected events while patients were followed; None for a class or adverse event.
        brier, null: scores of the model, and of the observed risk for everybody.
        auc: area under the ROC curve by the horizon, over pairs of patients of the same hospital; not given for a class
            or adverse event, whose concordance it is, nor in releases of earlier versions.
        hospitals: hospital -> its figures.
        between: that ratio over hospitals, by random effects; None for fewer than three.
    """

    horizon: float | None
    index: int
    patients: int
    events: int
    expected: float
    observed: IntervalEstimate
    ratio: IntervalEstimate
    followed: IntervalEstimate | None
    brier: float
    null: float
    auc: IntervalEstimate = IntervalEstimate()
    hospitals: dict[str, HospitalTable]
    between: Pooled | None


class RiskCell(ValidationRecord):
    """Patients of a range of predicted risk, with events, mean predicted and observed risk.

    `events` is None in releases of earlier versions.
    """

    patients: int
    events: int | None = None
    expected: float
    observed: IntervalEstimate


class GroupTable(ValidationRecord):
    """Figures of a group of patients, over the hospitals in which it is large enough."""

    division: str
    name: str
    hospitals: int
    patients: int
    events: int
    expected: float
    observed: IntervalEstimate
    ratio: IntervalEstimate
    concordance: IntervalEstimate


class ThirdCurve(ValidationRecord):
    """Survival of the patients in a third of predicted risk.

    Attributes:
        above, below: range of the predicted risk by the main horizon.
        patients: in it.
        times: in the task's unit.
        survival: probability of no event up to each time.
    """

    above: float
    below: float
    patients: int
    times: tuple[float, ...]
    survival: tuple[float, ...]


def outcome_table(
    task: Task, index: int, agreement: Federation, sites: Mapping[str, Arrays]
) -> dict[str, Any]:
    """Return the fields of an outcome's table, but its name."""
    of_task = {
        site: {
            name.partition(".")[2]: array for name, array in sums.items() if name.startswith(f"{task.name}.")
        }
        for site, sums in sites.items()
    }
    sent = {
        site: {name: array if name.startswith("third") else array[index] for name, array in sums.items()}
        for site, sums in of_task.items()
        if sums["patients"][index] > 0
    }
    answers = {site: sums for site, sums in sent.items() if are_possible(sums)}
    horizons = horizons_asked(task) or (None,)
    main = main_horizon(task)
    pairs = {site: sums["pairs"] for site, sums in answers.items() if sums["pairs"][1] > 0}
    sizes = {site: _sizes(answers[site]) for site in pairs}
    concordances = {
        site: concordance_estimate(float(pairs[site][0] / pairs[site][1]), *sizes[site]) for site in pairs
    }
    whole = np.sum([np.zeros(2), *pairs.values()], axis=0)
    value = float(whole[0] / whole[1]) if whole[1] else math.nan
    both = [sum(column) for column in zip(*sizes.values(), strict=True)] or [0, 0]
    tables = [_horizon_table(horizon, at, answers) for at, horizon in enumerate(horizons)]
    return {
        "patients": {site: int(sums["patients"]) for site, sums in answers.items()},
        "concordance": concordance_estimate(value, both[0], both[1]),
        "concordances": concordances,
        "between": _between_concordances(pairs, sizes),
        "horizons": tuple(table for table in tables if table is not None),
        "main": main,
        "cells": tuple(_cells([sums["cells"] for sums in answers.values()])),
        "decisions": _decisions([sums["cells"] for sums in answers.values()]),
        "groups": tuple(_groups(agreement, list(answers.values()))),
        "thirds": _thirds(task, list(answers.values())),
    }


def _sizes(sums: Arrays) -> tuple[int, int]:
    """Return patients with and without the event by the last horizon that a hospital gives."""
    events = int(sums["events"].max())
    return events, int(sums["patients"]) - events


def _between_concordances(pairs: Mapping[str, Array], sizes: Mapping[str, tuple[int, int]]) -> Pooled | None:
    figures = []
    for site, (concordant, comparable) in pairs.items():
        value = float(concordant / comparable)
        error = concordance_error(value, *sizes[site])
        if math.isfinite(error):
            figures.append((value, error))
    return pool(figures, Scale.LOGIT)


def _horizon_table(horizon: float | None, at: int, answers: Mapping[str, Arrays]) -> HorizonTable | None:
    here = {
        site: {name: sums[name][at] for name in _SUMMED}
        for site, sums in answers.items()
        if sums["events"][at] > 0
    }
    if not here:
        return None
    patients = {site: float(answers[site]["patients"]) for site in here}
    total, everyone = (
        {name: sum(sums[name] for sums in here.values()) for name in _SUMMED},
        sum(patients.values()),
    )
    observed = ObservedRisk(float(total["risk"]) / everyone, math.sqrt(total["spread"]) / everyone)
    hospitals, figures = {}, []
    for site, sums in here.items():
        risk = ObservedRisk(float(sums["risk"]) / patients[site], math.sqrt(sums["spread"]) / patients[site])
        expected = float(sums["expected"]) / patients[site]
        hospitals[site] = HospitalTable(
            patients=int(patients[site]),
            events=int(sums["events"]),
            expected=expected,
            observed=IntervalEstimate.around(risk.risk, risk.error),
            ratio=by_kaplan_meier(risk, expected),
            brier=float(sums["squared"]) / patients[site],
            null=risk.risk * (1 - risk.risk),
            auc=_auc(sums, patients[site]) if horizon is not None else IntervalEstimate(),
        )
        if risk.risk > 0 and risk.error > 0 and expected > 0:
            figures.append((risk.risk / expected, risk.error / risk.risk))
    expected = float(total["expected"]) / everyone
    is_timed = horizon is not None
    return HorizonTable(
        horizon=horizon,
        index=at,
        patients=int(everyone),
        events=int(total["events"]),
        expected=expected,
        observed=IntervalEstimate.around(observed.risk, observed.error),
        ratio=by_kaplan_meier(observed, expected),
        followed=by_martingale(int(total["events"]), float(total["followed"])) if is_timed else None,
        brier=float(total["squared"]) / everyone,
        null=observed.risk * (1 - observed.risk),
        auc=_auc(total, everyone) if is_timed else IntervalEstimate(),
        hospitals=hospitals,
        between=pool(figures, Scale.LOG),
    )


_SUMMED = ("events", "left", "expected", "followed", "risk", "spread", "squared", "ranked")


def _auc(sums: Mapping[str, Any], patients: float) -> IntervalEstimate:
    """Area under the ROC curve by a horizon, from the sums of one hospital or of all."""
    events, left = float(sums["events"]), float(sums["left"])
    return concordance_estimate(float(sums["ranked"]) / events, int(events), int(patients - events - left))


def _error(risk: float, events: float) -> float:
    """Standard error of an observed risk by the effective number of patients."""
    return risk * math.sqrt(max(1 - risk, 0.0) / events) if events > 0 else math.nan


def _cells(cells: Sequence[Array]) -> list[RiskCell]:
    total = np.sum([np.zeros((len(RISKS) + 1, 4)), *cells], axis=0)
    made = []
    for patients, events, risk, expected in total.tolist():
        if patients:
            observed = IntervalEstimate.around(risk / patients, _error(risk / patients, events))
            cell = RiskCell(
                patients=int(patients), events=int(events), expected=expected / patients, observed=observed
            )
            made.append(cell)
    return made


def _decisions(cells: Sequence[Array]) -> tuple[NetBenefit, ...]:
    """Net benefit at every edge of risk, over the hospitals of which no merged cell spans it."""
    decisions = []
    for at, threshold in enumerate(RISKS):
        splitting = [matrix for matrix in cells if matrix[at, 0] > 0 and matrix[at + 1 :, 0].any()]
        if not splitting:
            continue
        treated = np.sum([matrix[at + 1 :].sum(0) for matrix in splitting], axis=0)
        everyone = np.sum([matrix.sum(0) for matrix in splitting], axis=0)
        share, risk = float(treated[0] / everyone[0]), float(treated[2] / treated[0])
        weight, rate = weight_of(threshold), float(everyone[2] / everyone[0])
        gain = risk * (1 + weight) - weight
        error = math.hypot(
            share * (1 + weight) * _error(risk, float(treated[1])),
            gain * math.sqrt(share * (1 - share) / float(everyone[0])),
        )
        rest = everyone - treated
        spared = float(rest[2] / rest[0])
        avoided = weight - spared * (1 + weight)
        avoided_error = math.hypot(
            (1 - share) * (1 + weight) * _error(spared, float(rest[1])),
            avoided * math.sqrt(share * (1 - share) / float(everyone[0])),
        )
        decisions.append(
            NetBenefit(
                threshold=threshold,
                treated=share,
                model=IntervalEstimate.around(share * gain, error),
                everyone=rate - (1 - rate) * weight,
                above_everyone=IntervalEstimate.around((1 - share) * avoided, avoided_error),
            )
        )
    return tuple(decisions)


def _groups(agreement: Federation, answers: Sequence[Arrays]) -> list[GroupTable]:
    tables = []
    for at, (division, name) in enumerate(group_names(agreement)):
        here = [sums for sums in answers if sums["groups"][at, 0] > 0]
        if not here:
            continue
        patients, events, risk, expected = np.sum([sums["groups"][at] for sums in here], axis=0).tolist()
        concordant, comparable = np.sum([sums["group_pairs"][at] for sums in here], axis=0).tolist()
        observed = ObservedRisk(risk / patients, _error(risk / patients, events))
        concordance = concordant / comparable if comparable else math.nan
        tables.append(
            GroupTable(
                division=division,
                name=name,
                hospitals=len(here),
                patients=int(patients),
                events=int(events),
                expected=expected / patients,
                observed=IntervalEstimate.around(observed.risk, observed.error),
                ratio=by_kaplan_meier(observed, expected / patients),
                concordance=concordance_estimate(concordance, int(events), int(patients - events)),
            )
        )
    return tables


def _thirds(task: Task, answers: Sequence[Arrays]) -> tuple[ThirdCurve, ...]:
    """Return survival by third: the actuarial estimate of Cutler & Ederer (1958)."""
    telling = [sums for sums in answers if "thirds" in sums and sums["third_patients"].all()]
    if not telling:
        return ()
    times = times_of(task)
    asked = Counter(tuple(sums["third_edges"].tolist()) for sums in telling).most_common(1)[0][0]
    with_thirds = [sums for sums in telling if tuple(sums["third_edges"].tolist()) == asked]
    edges = (0.0, *asked, 1.0)
    curves = []
    for number in range(3):
        patients = sum(float(sums["third_patients"][number]) for sums in with_thirds)
        end = min(int(np.flatnonzero(sums["thirds"][number, :, 0])[-1]) for sums in with_thirds)
        cells = np.sum([_spread(sums["thirds"][number], times) for sums in with_thirds], axis=0)[: end + 1]
        at_risk = patients - np.concatenate([[0], np.cumsum(cells.sum(1))[:-1]])
        survival = np.cumprod(1 - cells[:, 0] / (at_risk - cells[:, 1] / 2))
        curves.append(
            ThirdCurve(
                above=edges[number],
                below=edges[number + 1],
                patients=int(patients),
                times=times[: end + 1],
                survival=tuple(survival.tolist()),
            )
        )
    return tuple(curves)


def _spread(cells: Array, times: Sequence[float]) -> Array:
    """Spread the counts of merged cells of time evenly over the cells that they were merged of."""
    spread = np.zeros_like(cells)
    start = -1
    widths = np.diff(np.concatenate([[0.0], times]))
    for end in np.flatnonzero(cells[:, 0]).tolist():
        width = widths[start + 1 : end + 1]
        spread[start + 1 : end + 1] = np.outer(width / width.sum(), cells[end])
        start = end
    return spread
