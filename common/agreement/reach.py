"""Reach of honest training: how far one hospital's round can move a weight.

Without privacy a hospital takes steps of AdamW, of which none is longer than the learning rate times a factor
(Cauchy-Schwarz inequality over both moments). Under privacy a step is a sum of clipped gradients with noise.
"""

import math
from functools import lru_cache

from common.agreement.agreement import Agreement
from common.agreement.privacy_settings import Privacy
from common.agreement.settings import Training
from common.agreement.strategy_names import largest_step

BETAS = (0.9, 0.999)
"""Decays of AdamW's moments, the defaults of `torch.optim.AdamW`."""


NOISE_TAIL = 8.6
"""Standard deviations that normal noise does not exceed: once in 10^17 draws."""


LINEAR_STEP = 0.5
"""Norm of the longest step of the coordinator's fit of the linear scores."""


UNDECLARED_PATIENTS = 10_000
"""Patients of a participant for which the federation file declares no number."""


USUAL_REACH = 0.5
"""Most that a round moves a weight of size 1 where a hospital's policy sets no other limit.

The defaults of a file stay below it up to some 1,600 patients in the largest hospital.
"""


ROUNDING = 1e-3
"""Share of a bound by which rounding may exceed it."""


def largest_hospital(federation: Agreement) -> int:
    """Return the most patients of one participant."""
    return max(participant.patients or UNDECLARED_PATIENTS for participant in federation.participants)


def patients_in_all(federation: Agreement) -> int:
    """Return the most patients of all participants together."""
    return sum(participant.patients or UNDECLARED_PATIENTS for participant in federation.participants)


def round_reach(
    federation: Agreement, round_: int = 1, largest: float = 1.0, privacy: Privacy | None = None
) -> float:
    """Return the most that a round of the whole federation moves one weight.

    Args:
        federation: the agreement.
        round_: number of the round; the first has the largest learning rate.
        largest: size of the largest weight that the round begins with.
        privacy: the terms at a hospital, where they are stricter than the federation file's.
    """
    training = federation.training
    if round_ <= federation.linear_rounds:
        return LINEAR_STEP
    change = local_reach(federation, round_, largest_hospital(federation), largest, privacy)
    return largest_step(training.strategy, training.server_learning_rate, change)


def widest_round(federation: Agreement) -> float:
    """Return the most that any round of the whole federation moves one weight of size 1.

    It is a round of the linear scores, or the first of the others, which has the largest learning rate.
    """
    linear_rounds = federation.linear_rounds
    rounds = (1,) if linear_rounds == federation.training.rounds else (1, linear_rounds + 1)
    return max(round_reach(federation, round_) for round_ in rounds)


def local_reach(
    federation: Agreement, round_: int, patients: int, largest: float, privacy: Privacy | None = None
) -> float:
    """Return the most that a hospital's round moves one weight.

    Args:
        federation: the agreement.
        round_: number of the round.
        patients: that the hospital trains on, or more.
        largest: size of the largest weight that the round begins with.
        privacy: the terms at the hospital, where they are stricter than the federation file's.
    """
    training, privacy = federation.training, privacy or federation.privacy
    if round_ <= federation.linear_rounds:
        moved = federation.steepest_score
        return moved + _rounded(1, largest + moved)
    if privacy is not None:
        moved = _private(training, privacy, round_, patients)
        return moved * (1 + ROUNDING) + _rounded(privacy.steps, largest + moved)
    rate = training.learning_rate * training.decay(round_, federation.linear_rounds)
    steps = training.local_epochs * math.ceil(patients / training.batch_size)
    moved = rate * _adam_steps(steps)
    decayed = min(1.0, rate * training.weight_decay * steps) * (largest + moved)
    return (moved + decayed) * (1 + ROUNDING) + _rounded(steps, largest + moved)


def _rounded(steps: int, largest: float) -> float:
    """Return the most that rounding to float32 moves a weight that is no larger than `largest`."""
    return steps * largest * 2.0**-23


@lru_cache
def _adam_steps(steps: int) -> float:
    """Return the sum of the longest steps of Adam, in units of its learning rate.

    In step t the bias-corrected mean of gradients over the root of that of their squares is at most

        (1 - b1) / (1 - b1^t) sqrt((1 - b2^t) / (1 - b2) (1 - r^t) / (1 - r)),      r = b1^2 / b2,

    which is 1 in the first and 7.3 in the end.
    """
    first, second = BETAS
    ratio = first**2 / second
    few = min(steps, 20_000)  # from where on a step is as long as in the end
    total = sum(
        (1 - first)
        / (1 - first**t)
        * math.sqrt((1 - second**t) / (1 - second) * (1 - ratio**t) / (1 - ratio))
        for t in range(1, few + 1)
    )
    return total + (steps - few) * (1 - first) / math.sqrt((1 - second) * (1 - ratio))


def _private(training: Training, privacy: Privacy, round_: int, patients: int) -> float:
    """Return the most that a hospital's private round moves a weight."""
    rate = privacy.learning_rate * training.decay(round_)
    expected = patients * privacy.sampling_rate
    drawn = min(patients, expected + NOISE_TAIL * math.sqrt(expected) + NOISE_TAIL**2)
    noise = NOISE_TAIL * privacy.noise_multiplier
    step = rate * privacy.clip_norm * (drawn + noise) / privacy.expected_batch_size
    if training.strategy != "fedprox":
        return step * privacy.steps
    growth = max(1.0, abs(1 - rate * training.proximal_mu))  # of the distance that the pull acts on
    return step * sum(growth**earlier for earlier in range(privacy.steps))
