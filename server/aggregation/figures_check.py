"""Check of a hospital's figures of a model: patients can have them, or the reply is dropped.

Sums of a hospital may be rounded before they leave it: limits that compare two sums leave room for that.
"""

import math
from collections.abc import Sequence

from common.families.family import Score
from common.messages.exchange import Numbers
from common.messages.validation import SUMS, TRAINING_LOSS, comparable, concordant, pair_names
from server.aggregation.replies import UnusableReplyError
from server.records.dropped import DropReason

HIGHEST_LOSS = 1e6
"""Loss per patient beyond which a model is not worth a figure; hospitals whose model diverged send none."""

ROOM = 1.1
"""Factor between two sums that rounding may cause."""

ROOM_PATIENTS = 10
"""Patients by which rounding may raise a number of them."""


def check_figures(metrics: Numbers, scores: Sequence[Score], most: int) -> None:
    """Refuse metrics of another name, and figures that no patients can have.

    What is not a finite number counts as not told, and passes.

    Args:
        metrics: as they came.
        scores: of the agreement's family.
        most: patients that the hospital can have.

    Raises:
        UnusableReplyError: if a name or figure does not fit.
    """
    if not set(metrics) <= {*SUMS, TRAINING_LOSS, *pair_names(score.name for score in scores)}:
        raise UnusableReplyError(DropReason.METRICS_UNKNOWN)
    finite = {name: number for name, number in metrics.items() if math.isfinite(number)}
    if not (_is_possible(finite, most) and all(_has_possible_pairs(finite, score) for score in scores)):
        raise UnusableReplyError(DropReason.FIGURES_IMPLAUSIBLE)


def _is_possible(finite: Numbers, most: int) -> bool:
    loss, patients = (finite.get(name) for name in SUMS)
    if abs(finite.get(TRAINING_LOSS, 0.0)) > HIGHEST_LOSS:
        return False
    if patients is None or not (0 <= patients <= most + ROOM_PATIENTS and patients == int(patients)):
        return patients is None and loss is None
    return loss is None or 0 <= loss <= HIGHEST_LOSS * patients


def _has_possible_pairs(finite: Numbers, score: Score) -> bool:
    patients = finite.get("validation_patients", 0.0)
    pairs = finite.get(comparable(score.name), 0.0)
    right = finite.get(concordant(score.name), 0.0)
    return 0 <= right <= pairs * ROOM + 1 and pairs <= score.most(int(patients) + ROOM_PATIENTS)
