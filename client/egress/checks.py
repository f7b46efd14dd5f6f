"""Checks of a reply: exact names, shapes and counts, by the request and the agreement alone.

Every function here takes a reply apart and gives back an equal one whose arrays and numbers are in the agreement's
own order, so that not even their order says anything. A reply that does not fit raises `BlockedError` with a fixed
word; the word never holds a name or a number of the reply.
"""

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from client.egress.expected import BlockedError, BlockReason, Expected, Shapes, block_unless
from client.egress.meaning import (
    change_is_possible,
    statistics_are_possible,
    validation_is_possible,
    weights_are_possible,
)
from common.agreement.agreement import Agreement
from common.assessment.part import ROUNDING, AnyPart, NoisedPart, questions_of
from common.evaluation.pairs import Pairs
from common.families.family import sums_of
from common.families.registry import family_of
from common.messages.compression import DecodeError, decode, encode, unflatten
from common.messages.exchange import (
    AssessmentReply,
    AssessmentRequest,
    EvaluateReply,
    InvalidMessageError,
    ModelRequest,
    Numbers,
    StatisticsReply,
    TrainReply,
    UpdateReply,
)
from common.messages.packing import Arrays
from common.messages.validation import (
    MEAN_STEP,
    SUMS,
    TRAINING_LOSS,
    ValidationSums,
    on_grid,
    pair_names,
)
from common.models.parameter_groups import AveragingWeights, counted


def fit_statistics(reply: StatisticsReply, expected: Expected) -> StatisticsReply:
    """Check names and shapes, which the family says, and the number of units behind every sum."""
    federation, privacy = expected.federation, expected.terms.privacy
    least = expected.terms.minimum_count
    block_unless(reply.site == expected.site, BlockReason.WRONG_SITE)
    shapes = sums_of(family_of(federation), federation)
    moments = in_order(reply.moments, shapes, np.dtype(np.float64))
    exact = privacy is None or privacy.statistics == "public"
    if privacy is None:
        block_unless(reply.patients >= least, BlockReason.COUNT)
    else:
        block_unless(reply.patients == 1, BlockReason.COUNT)
    block_unless(set(reply.withheld) == set(shapes), BlockReason.METRICS)
    withheld = {name: float(reply.withheld[name]) for name in shapes}
    for name, sums in moments.items():
        count, _, squares = sums
        block_unless(bool((count >= 0).all() and (squares >= 0).all()), BlockReason.COUNT)
        block_unless(not sums[:, count == 0].any(), BlockReason.COUNT)
        if exact:
            _enough_behind(sums, least)
            block_unless(privacy is not None or bool((count <= reply.patients).all()), BlockReason.COUNT)
            block_unless(withheld[name] == float((count == 0).sum()), BlockReason.METRICS)
        else:
            block_unless(withheld[name] == 0, BlockReason.METRICS)
    statistics_are_possible(reply.patients, moments, expected)
    return StatisticsReply(site=expected.site, patients=reply.patients, moments=moments, withheld=withheld)


def _enough_behind(sums: np.ndarray, least: int) -> None:
    """Block exact sums [3, N] with few patients in a cell.

    Where sum and squares are equal, the values are 0 and 1. Values that differ are of more than `least` patients,
    because as many lie outside the commonest; who lies where, only the tables say (`require_the_tables`).
    """
    count, total, squares = sums
    shown = count > 0
    block_unless(bool((count[shown] >= least).all()), BlockReason.COUNT)
    block_unless(bool((count == np.floor(count)).all()), BlockReason.COUNT)
    two_valued = shown & (total == squares) & (total == np.floor(total))
    ones, zeros = total[two_valued], (count - total)[two_valued]
    both = (ones > 0) & (zeros > 0)
    block_unless(bool((np.minimum(ones, zeros)[both] >= least).all()), BlockReason.COUNT)
    differ = shown & (count * squares - total**2 > ROUNDING * count * squares)
    block_unless(bool((count[differ] > least).all()), BlockReason.COUNT)


def fit_training(
    reply: TrainReply, request: ModelRequest, expected: Expected
) -> tuple[TrainReply, float, tuple[str, ...]]:
    """Fit a training reply: exactly the model's weights, and counts that are large enough.

    Returns (the reply, L2 norm of its update, tasks whose sums were suppressed).
    """
    block_unless(reply.site == expected.site, BlockReason.WRONG_SITE)
    block_unless(reply.round == request.round, BlockReason.WRONG_ROUND)
    weights = in_order(reply.weights, expected.weights, np.dtype(np.float32))
    before = in_order(request.weights, expected.weights, np.dtype(np.float32))
    behind = _averaging_weights(reply.patients, expected)
    trainable = _trainable(behind, expected, reply.round)
    for name, array in weights.items():
        if name not in trainable:
            block_unless(array.tobytes() == before[name].tobytes(), BlockReason.UNTRAINED_CHANGED)
    changes = [array.astype(np.float64) - before[name] for name, array in weights.items()]
    change_is_possible(changes, before, reply.round, expected)
    norm = _update_norm(changes, expected)
    validation_is_possible(reply.metrics, expected)
    metrics, suppressed = _metrics(reply.metrics, expected, training=True)
    fitted = TrainReply(
        site=expected.site, round=reply.round, weights=weights, patients=behind.to_numbers(), metrics=metrics
    )
    return fitted, norm, suppressed


def fit_update(
    reply: UpdateReply, request: ModelRequest, expected: Expected
) -> tuple[UpdateReply, float, tuple[str, ...]]:
    """Fit an update that is encoded as the agreement says, like `fit_training`.

    It leaves in the one form that its values have.
    """
    block_unless(reply.site == expected.site, BlockReason.WRONG_SITE)
    block_unless(reply.round == request.round, BlockReason.WRONG_ROUND)
    wire, shapes = expected.federation.wire, expected.weights
    try:
        update = decode(reply.update, wire, shapes)
    except DecodeError:
        raise BlockedError(BlockReason.ENCODING) from None
    canonical = encode(update, wire, shapes)
    for name, array in canonical.items():
        block_unless(array.tobytes() == reply.update[name].tobytes(), BlockReason.ENCODING)
    before = in_order(request.weights, shapes, np.dtype(np.float32))
    behind = _averaging_weights(reply.patients, expected)
    trainable = _trainable(behind, expected, reply.round)
    changes = unflatten(update, shapes)
    for name, change in changes.items():
        block_unless(name in trainable or not change.any(), BlockReason.UNTRAINED_CHANGED)
        with np.errstate(over="ignore"):
            block_unless(bool(np.isfinite(before[name] + change).all()), BlockReason.NOT_FINITE)
    wide = [change.astype(np.float64) for change in changes.values()]
    change_is_possible(wide, before, reply.round, expected)
    norm = _update_norm(wide, expected)
    validation_is_possible(reply.metrics, expected)
    metrics, suppressed = _metrics(reply.metrics, expected, training=True)
    fitted = UpdateReply(
        site=expected.site, round=reply.round, update=canonical, patients=behind.to_numbers(), metrics=metrics
    )
    return fitted, norm, suppressed


def _trainable(behind: AveragingWeights, expected: Expected, round_: int) -> frozenset[str]:
    """Parameters that patients of this hospital can have moved in a round."""
    learnable = expected.groups.learnable(expected.terms.privacy)
    learnable &= expected.groups.trained_in(round_, expected.federation.linear_rounds)
    return frozenset(name for name in learnable if behind[expected.groups[name]] > 0)


def _update_norm(changes: Iterable[NDArray[np.float64]], expected: Expected) -> float:
    """L2 norm over all parameters, within the policy's limit."""
    norm = math.sqrt(math.fsum(float(np.square(change).sum()) for change in changes))
    limit = expected.maximum_update_norm
    block_unless(math.isfinite(norm) and (limit is None or norm <= limit), BlockReason.UPDATE_NORM)
    return norm


def fit_evaluation(
    reply: EvaluateReply, request: ModelRequest, expected: Expected
) -> tuple[EvaluateReply, tuple[str, ...]]:
    """Fit an evaluation reply: sums over enough validation patients, or nothing.

    Returns (the reply, tasks whose sums were suppressed).
    """
    block_unless(reply.site == expected.site, BlockReason.WRONG_SITE)
    block_unless(reply.round == request.round, BlockReason.WRONG_ROUND)
    validation_is_possible(reply.metrics, expected)
    metrics, suppressed = _metrics(reply.metrics, expected, training=False)
    return EvaluateReply(site=expected.site, round=reply.round, metrics=metrics), suppressed


def fit_assessment(reply: AssessmentReply, request: AssessmentRequest, expected: Expected) -> AssessmentReply:
    """Fit sums about a trained model: a part of the agreement, over exactly its units.

    Under privacy they tell of no number of units, and the gate compares them with its own noised ones.
    """
    block_unless(reply.site == expected.site, BlockReason.WRONG_SITE)
    block_unless((reply.part, reply.number) == (request.part, request.number), BlockReason.MESSAGE_TYPE)
    part = _part(request, expected)
    limits = part.sums(expected.federation, request.number)
    sums = in_order(reply.sums, {name: limit.shape for name, limit in limits.items()}, np.dtype(np.float64))
    if expected.terms.privacy is not None:
        block_unless(reply.patients == 1, BlockReason.COUNT)
    else:
        units, least = expected.cohort.of(part.whose), expected.terms.minimum_count
        block_unless(units is None or reply.patients == units, BlockReason.COUNT)
        for name, limit in limits.items():
            block_unless(reply.patients >= least or not sums[name].any(), BlockReason.COUNT)
            block_unless(limit.holds(sums[name], reply.patients), BlockReason.SUM)
    return AssessmentReply(
        site=expected.site, part=reply.part, number=reply.number, patients=reply.patients, sums=sums
    )


def _part(request: AssessmentRequest, expected: Expected) -> AnyPart:
    for part, number in questions_of(expected.federation):
        if (part.name, number) == (request.part, request.number):
            return part
    raise BlockedError(BlockReason.MESSAGE_TYPE)


def noised_part(request: AssessmentRequest, federation: Agreement) -> "NoisedPart[Any, Any]":
    """Return the part of a question under privacy.

    Raises:
        InvalidMessageError: if the agreement has none of that name.
    """
    for part, number in questions_of(federation):
        if (part.name, number) == (request.part, request.number) and isinstance(part, NoisedPart):
            return part
    raise InvalidMessageError("this request is about no sums that get noise")


def in_order(arrays: Arrays, shapes: Shapes, dtype: "np.dtype[Any]") -> Arrays:
    """Copy arrays in plain layout and in the agreement's order."""
    block_unless(set(arrays) == set(shapes), BlockReason.ARRAY_NAMES)
    for name, shape in shapes.items():
        array = arrays[name]
        block_unless(array.dtype == dtype and array.shape == tuple(shape), BlockReason.ARRAY_FORM)
        block_unless(bool(np.isfinite(array).all()), BlockReason.NOT_FINITE)
    return {name: arrays[name].copy(order="C") for name in shapes}


def _averaging_weights(patients: Numbers, expected: Expected) -> AveragingWeights:
    """Averaging weights of all groups: patients, 0 or at least the minimum count.

    With privacy they count hospitals, 0 or 1.
    """
    groups = expected.groups.groups
    block_unless(set(patients) == {group.name for group in groups}, BlockReason.METRICS)
    least = 1 if expected.terms.privacy is not None else expected.terms.minimum_count
    for count in patients.values():
        block_unless(count == 0 or (math.isfinite(count) and count >= least), BlockReason.COUNT)
        block_unless(count == math.floor(count), BlockReason.COUNT)
        block_unless(expected.terms.privacy is None or count <= 1, BlockReason.COUNT)
    numbers = {group.name: float(patients[group.name]) for group in groups}
    weights = AveragingWeights.from_numbers(numbers, groups, counted(expected.terms.privacy))
    block_unless(weights.shared > 0, BlockReason.COUNT)
    block_unless(max(weights.by_group.values()) == weights.shared, BlockReason.COUNT)
    weights_are_possible(weights, expected)
    return weights


def _metrics(metrics: Numbers, expected: Expected, training: bool) -> tuple[Numbers, tuple[str, ...]]:
    """Return (metrics, tasks whose sums were set to 0).

    With privacy there are no metrics; else perhaps the training loss of a `training` round, and all or none of the
    validation sums. A number off the grid of `common.messages.validation` is an exact one, and is blocked.

    A task's pairs that are fewer than the family's fewest are about few patients: both of its sums become 0.
    """
    if expected.terms.privacy is not None:
        block_unless(not metrics, BlockReason.METRICS)
        return {}, ()
    block_unless(all(math.isfinite(number) for number in metrics.values()), BlockReason.NOT_FINITE)
    family, federation = family_of(expected.federation), expected.federation
    ceiling = family.ceiling(federation)
    fitted: Numbers = {}
    if training and TRAINING_LOSS in metrics:
        fitted = {TRAINING_LOSS: on_grid(metrics[TRAINING_LOSS], 0.0, ceiling, MEAN_STEP)}
        block_unless(fitted[TRAINING_LOSS] == metrics[TRAINING_LOSS], BlockReason.METRICS)
    if set(metrics) == set(fitted):
        return fitted, ()
    tasks = [score.name for score in family.scores(federation)]
    block_unless(set(metrics) == {*fitted, *SUMS, *pair_names(tasks)}, BlockReason.METRICS)
    sums, suppressed = _suppressed(ValidationSums.of(metrics, tasks), expected)
    return fitted | sums.named(), suppressed


def _suppressed(sums: ValidationSums, expected: Expected) -> tuple[ValidationSums, tuple[str, ...]]:
    """Return sums over enough patients, and the tasks whose pairs were too few and became none."""
    least, family = expected.terms.minimum_count, family_of(expected.federation)
    block_unless(sums.patients >= least and sums.patients == math.floor(sums.patients), BlockReason.COUNT)
    for pair in sums.pairs.values():
        block_unless(0 <= pair.comparable == math.floor(pair.comparable), BlockReason.METRICS)
    rounded = sums.rounded(family.ceiling(expected.federation))
    block_unless(sums.named() == rounded.named(), BlockReason.METRICS)
    pairs = dict(rounded.pairs)
    suppressed = []
    for score in family.scores(expected.federation):
        if 0 < pairs[score.name].comparable < score.fewest(least):
            pairs[score.name] = Pairs.none()
            suppressed.append(score.name)
    return replace(rounded, pairs=pairs), tuple(suppressed)
