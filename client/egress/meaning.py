"""Checks of the meaning of a reply's numbers: patients of this hospital made them.

Counts are within the cohort, sums within the plausible range of what they sum, weights within what honest training
reaches. A number that passes can still be another than the honest one, if patients could have made it too.
"""

import math
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from client.egress.expected import BlockReason, Expected, block_unless
from common.agreement.reach import local_reach
from common.assessment.part import ROUNDING
from common.families.registry import family_of
from common.messages.exchange import Numbers
from common.messages.packing import Arrays
from common.messages.statistics import SiteStatistics
from common.messages.validation import VALIDATION_PATIENTS, comparable
from common.models.parameter_groups import AveragingWeights

SAME = 1e-9
"""Share by which a sum may differ from the same sum in another order."""


HELD_BACK = 2.0
"""Times the reach of all rounds so far that an encoded update may bring, with what was held back of earlier ones."""


def statistics_are_possible(patients: int, moments: Arrays, expected: Expected) -> None:
    """Block sums that the hospital's training units cannot have."""
    cohort, privacy = expected.cohort, expected.terms.privacy
    if privacy is None and cohort.training is not None:
        block_unless(patients == cohort.training, BlockReason.COUNT)
    exact = privacy is None or privacy.statistics == "public"
    family = family_of(expected.federation)
    tables, ends = family.sources(expected.federation), family.ends(expected.federation)
    for name, sums in moments.items():
        if exact:
            block_unless(bool((sums[0] <= cohort.most(tables[name])).all()), BlockReason.COUNT)
        elif tables[name] in cohort.absent:
            block_unless(not sums[0].any(), BlockReason.COUNT)
        _sums_are_possible(sums.astype(np.float64), *ends[name], is_noised=not exact)


_Array = NDArray[np.float64]


def _sums_are_possible(sums: _Array, low: _Array, high: _Array, is_noised: bool) -> None:
    """Block sums [3, N] that no values between two ends have."""
    count, total, squares = sums
    with np.errstate(invalid="ignore", over="ignore"):
        least, most = np.where(count > 0, count * low, 0.0), np.where(count > 0, count * high, 0.0)
        room = ROUNDING * (np.sqrt(count * squares) + np.abs(total))
        block_unless(bool(((least - room <= total) & (total <= most + room)).all()), BlockReason.SUM)
        # of n values the squares sum to the squared sum over n at least
        room = ROUNDING * squares
        fewest = np.divide(total**2, count, out=np.zeros_like(total), where=count > 0)
        block_unless(bool((fewest <= squares + room).all()), BlockReason.SUM)
        farthest = np.maximum(low**2, high**2)
        if is_noised:  # a noised mean may lie at an end, with a variance that no values there have
            farthest = farthest + ((high - low) / 2) ** 2
        largest = np.where(count > 0, count * farthest, 0.0)
        block_unless(bool((squares <= largest + room).all()), BlockReason.SUM)


def require_the_tables(moments: Arrays, computed: SiteStatistics) -> None:
    """Block exact sums other than those that the gate computed itself from the tables."""
    for name, sums in moments.items():
        again = computed.moments[name]
        scale = np.stack([again[0], np.sqrt(again[0] * again[2]), again[2]])
        block_unless(bool((np.abs(sums - again) <= SAME * scale).all()), BlockReason.SUM)


def weights_are_possible(behind: AveragingWeights, expected: Expected) -> None:
    """Block averaging weights that the hospital's units cannot have.

    Under privacy they say which tables the hospital has, and nothing else.
    """
    cohort = expected.cohort
    if expected.terms.privacy is not None:
        absent = expected.groups.hospitals_behind(cohort.absent)
        block_unless(behind.to_numbers() == absent.to_numbers(), BlockReason.COUNT)
        return
    if cohort.training is not None:
        block_unless(behind.shared == cohort.training, BlockReason.COUNT)
    for group, weight in behind.by_group.items():
        block_unless(weight <= cohort.most(group.modality), BlockReason.COUNT)


def change_is_possible(
    changes: Iterable[NDArray[np.float64]], before: Arrays, round_: int, expected: Expected
) -> None:
    """Block a change of a weight beyond the reach of the round's training.

    Under privacy the weights are those that the gate itself has added the noise to, and need no bound.
    """
    units = expected.cohort.training
    if units is None or expected.terms.privacy is not None:
        return
    largest = max((float(np.abs(array).max(initial=0)) for array in before.values()), default=0.0)
    federation = expected.federation
    bound = local_reach(federation, round_, units, largest)
    if federation.wire.update != "float32":
        earlier = (local_reach(federation, number, units, largest) for number in range(1, round_))
        bound = HELD_BACK * (bound + math.fsum(earlier))
    for change in changes:
        block_unless(float(np.abs(change).max(initial=0)) <= bound, BlockReason.UPDATE_REACH)


def validation_is_possible(metrics: Numbers, expected: Expected) -> None:
    """Block validation sums of other units than validate, or of more pairs than they make."""
    held = expected.cohort.validation
    if expected.terms.privacy is not None or VALIDATION_PATIENTS not in metrics or held is None:
        return
    block_unless(metrics[VALIDATION_PATIENTS] == held, BlockReason.COUNT)
    for score in family_of(expected.federation).scores(expected.federation):
        block_unless(metrics.get(comparable(score.name), 0.0) <= score.most(held), BlockReason.COUNT)
