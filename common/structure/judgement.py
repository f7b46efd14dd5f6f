"""TableJudgement of patients' tables: fine, look at this, or no prediction.

Every figure of a patient is held against its limit, and with enough patients the mean of the figure as well: what is
within the limits in every patient may be impossible in ten together, such as tables that belong to other patients.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from common.agreement.federation import Federation
from common.agreement.modalities import LARGEST
from common.patients.batch import PatientBatch
from common.structure import figures, wording
from common.structure.answer import Answer
from common.structure.content import Structure
from common.structure.limits import Check, FigureLimit
from common.structure.plan import pairs, wide_modalities
from common.structure.tables import (
    both_columns,
    has_enough,
    judged_disorder,
    observed_shares,
    whole_table,
)

Array = NDArray[np.float64]

TOGETHER = 10
"""Patients from whom on a figure is judged over the whole table, if half of them have it."""


@dataclass(frozen=True)
class TableFinding:
    """TableFinding about a patient, or about a whole table.

    Attributes:
        check: that found it.
        modalities: that it is about.
        answer: what follows from it.
        sentence: what is seen and its likely cause, without a value or an identifier.
    """

    check: Check
    modalities: tuple[str, ...]
    answer: Answer
    sentence: str


@dataclass(frozen=True)
class TableJudgement:
    """TableJudgement of the patients of a table.

    Attributes:
        patients: findings about each patient, those about the whole table among them.
        table: findings about the whole table.
        distance: [P], largest figure on a scale where 0 is ordinary and 1 the limit of a warning.
    """

    patients: tuple[tuple[TableFinding, ...], ...]
    table: tuple[TableFinding, ...]
    distance: Array

    def answer(self, row: int) -> Answer:
        """Return the answer for a patient: the worst of the findings."""
        answers = [finding.answer for finding in self.patients[row]]
        return max(answers, key=list(Answer).index, default=Answer.FINE)


def judged(federation: Federation, standardised: PatientBatch, structure: Structure | None) -> TableJudgement:
    """Judge patients.

    Args:
        federation: the federation file.
        standardised: patients as the model takes them.
        structure: of ordinary tables; without it only extreme values are found.
    """
    findings: list[list[TableFinding]] = [[] for _ in range(len(standardised))]
    distance, table = np.zeros(len(standardised)), list[TableFinding]()
    for limit in () if structure is None else structure.limits:
        assert structure is not None
        figure = _figure(federation, standardised, structure, limit)
        excess = _excess(limit, figure)
        for row in np.flatnonzero(excess > limit.look).tolist():
            answer = Answer.NONE if excess[row] > limit.withheld else Answer.LOOK
            sentence = wording.sentence(limit, float(figure[row]))
            findings[row].append(TableFinding(limit.check, limit.modalities, answer, sentence))
        judged_rows = np.isfinite(excess)
        ordinary = _excess(limit, np.array([limit.mean]))[0]
        scaled = (excess - ordinary) / max(limit.look - ordinary, figures.SMALLEST)
        distance = np.where(judged_rows, np.maximum(distance, scaled), distance)
        if (finding := _together(limit, figure)) is not None:
            table.append(finding)
            for row in np.flatnonzero(judged_rows).tolist():
                findings[row].append(finding)
    for modality in federation.modalities:
        if modality not in wide_modalities(federation):
            for row, finding in _extreme(standardised, modality.name, len(modality.columns)).items():
                findings[row].append(finding)
                distance[row] = max(distance[row], 1.0)
    return TableJudgement(tuple(map(tuple, findings)), tuple(table), distance)


def _figure(
    federation: Federation, standardised: PatientBatch, structure: Structure, limit: FigureLimit
) -> Array:
    """Figure [P] of the patients; NaN where it cannot be told."""
    if limit.check is Check.AGREEMENT:
        pair = next(pair for pair in pairs(federation) if (pair.first, pair.second) == limit.modalities)
        left, right, both = both_columns(standardised, pair)
        figure = figures.disagreement(left, right, both, structure.pairs[pair.name])
        return np.where(has_enough(both), figure, np.nan)
    modality = federation.modality(limit.modalities[0])
    if limit.check is Check.OBSERVED:
        return observed_shares(standardised, modality)
    values, observed = whole_table(standardised, modality.name)
    number = len(modality.columns)
    values, observed = values[:, :number], observed[:, :number]
    if limit.check is Check.SIZE:
        figure = figures.log_size(values, observed)
    else:
        name = modality.name
        figure = judged_disorder(
            modality, values, observed, structure.centers[name], structure.directions[name]
        )
    return np.where(has_enough(observed), figure, np.nan)


def _excess(limit: FigureLimit, figure: Array) -> Array:
    """Figure [P] as it is held against the limits: higher is worse."""
    if limit.check is Check.SIZE:
        return abs(figure - limit.mean)
    return 1 - figure if limit.check is Check.OBSERVED else figure


def _together(limit: FigureLimit, figure: Array) -> TableFinding | None:
    """Judge a figure over the patients who have it."""
    figures_told = figure[np.isfinite(figure)]
    if len(figure) < TOGETHER or len(figures_told) < TOGETHER / 2 or limit.check is Check.OBSERVED:
        return None
    mean = float(figures_told.mean())
    if limit.check is Check.SIZE:
        if abs(mean - limit.mean) <= limit.look:
            return None
        answer = Answer.NONE if abs(mean - limit.mean) > limit.withheld else Answer.LOOK
    else:
        if mean <= limit.table_limit(len(figures_told)):
            return None
        answer = Answer.NONE
    return TableFinding(
        limit.check, limit.modalities, answer, wording.sentence(limit, mean, len(figures_told))
    )


def _extreme(standardised: PatientBatch, modality: str, columns: int) -> dict[int, TableFinding]:
    """Find patients whose values of a narrow table are at the limit of what is standardised.

    Half of them or more leave nothing that could be believed.
    """
    values, observed = whole_table(standardised, modality)
    far = (abs(values[:, :columns]) >= LARGEST) & observed[:, :columns]
    number = far.sum(1)
    findings = {}
    for row in np.flatnonzero(number):
        most = 2 * number[row] >= observed[row, :columns].sum()
        sentence = wording.extreme(modality, int(number[row]))
        findings[int(row)] = TableFinding(
            Check.EXTREME, (modality,), Answer.NONE if most else Answer.LOOK, sentence
        )
    return findings
