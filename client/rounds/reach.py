"""Reach of honest training over rounds: how far a run can have moved a weight by a round.

A round of a hospital is bounded by `common.agreement.reach`, for the largest cohort of the federation. What the
coordinator makes of the hospitals' changes is bounded by its strategy (`common.agreement.strategy_names`); a mean is no
further than its furthest part. An encoding of updates holds back a part for later rounds
(`client.training.error_feedback`), so that a round may bring that of all rounds before.
"""

from common.agreement.agreement import Agreement
from common.agreement.reach import ROUNDING, round_reach

STRICTER = 10.0
"""Times the noise of the federation file that a participant's own policy may ask for."""


def reach(
    federation: Agreement, largest: float, last: int, first: int = 1, is_linear: bool | None = None
) -> float:
    """Return the farthest that honest training moves one weight between two rounds' requests.

    Args:
        federation: the agreement.
        largest: size of the largest initial weight.
        last: round of the later request.
        first: round of the earlier one; 1 is that of the initial weights.
        is_linear: whether the weight is of the linear scores, which have rounds for themselves; None if unknown.
    """
    moved = before = 0.0
    for number in range(1, last):
        if number == first:
            before = moved
        fits_scores = number <= federation.linear_rounds
        if is_linear is None or not federation.linear_rounds or is_linear == fits_scores:
            moved += _round_move(federation, number, largest + moved)
    if federation.wire.update != "float32":
        return 2 * moved * (1 + ROUNDING)
    return (moved - before) * (1 + ROUNDING)


def _round_move(federation: Agreement, number: int, largest: float) -> float:
    """Return the most that a round moves a weight no larger than `largest`."""
    privacy = federation.privacy
    if privacy is not None:
        privacy = privacy.model_copy(update={"noise_multiplier": STRICTER * privacy.noise_multiplier})
    return round_reach(federation, number, largest, privacy)
