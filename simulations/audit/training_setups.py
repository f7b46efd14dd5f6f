"""Ways of training that the audit compares: without privacy, and at claimed epsilons."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from torch import Tensor

from client.privacy.dp_sgd import train_privately
from client.training.local import train
from client.training.round import Round
from common.agreement.federation import Federation
from common.agreement.privacy_settings import Privacy
from common.errors import OptionError
from common.models.federated import FederatedModel
from common.patients.batch import PatientBatch
from common.patients.guarantee import check_agreement
from common.patients.preprocessing import Preprocessing
from common.privacy.accounting import spend
from common.privacy.planning import plan_noise, planned_releases, with_privacy

SAMPLING_RATE, LEARNING_RATE = 0.5, 0.5
"""Sampling rate and learning rate of private training.

Sampling at a half amplifies little, so that the bound stays near the claim.
"""


@dataclass(frozen=True)
class TrainingSetup:
    """Agreement with its claim: `epsilon` of the whole run, infinite without privacy."""

    federation: Federation
    epsilon: float

    @property
    def name(self) -> str:
        """Name in the rows of a table; the accountants' epsilon lies a little below the planned one."""
        return "no DP" if self.federation.privacy is None else f"epsilon {self.epsilon:.2g}"


def without_privacy(federation: Federation) -> TrainingSetup:
    """Training as agreed, without a bound and without rounds of the linear scores alone."""
    training = federation.training.model_copy(update={"linear_rounds": 0})
    return TrainingSetup(federation.model_copy(update={"privacy": None, "training": training}), math.inf)


def with_epsilon(
    federation: Federation, epsilon: float, delta: float, members: int, sampling_rate: float = SAMPLING_RATE
) -> TrainingSetup:
    """Private training whose rounds together cost `epsilon` at `delta`.

    Steps are scaled for about `members` patients.

    Raises:
        InputError: if no noise is enough.
    """
    proposed = Privacy(
        noise_multiplier=1.0,
        sampling_rate=sampling_rate,
        expected_batch_size=sampling_rate * members,
        learning_rate=LEARNING_RATE,
        statistics="public",
        delta=delta,
    )
    try:
        privacy = plan_noise(epsilon, federation.training.rounds, proposed)
    except ValueError as error:
        raise OptionError(f"--epsilon {epsilon:g}", str(error), "ask for a larger one") from None
    agreed = with_privacy(federation, privacy)
    check_agreement(agreed)
    return TrainingSetup(agreed, claimed(agreed))


def claimed(federation: Federation) -> float:
    """Epsilon of the training steps of a whole run by the accountants, at the agreement's delta."""
    assert federation.privacy is not None
    return spend(
        planned_releases(federation.privacy, federation.training.rounds), federation.privacy.delta
    ).epsilon


def compared(
    federation: Federation,
    epsilons: Sequence[float],
    delta: float,
    members: int,
    sampling_rate: float = SAMPLING_RATE,
) -> list[TrainingSetup]:
    """List training without privacy, then at every epsilon."""
    private = [with_epsilon(federation, epsilon, delta, members, sampling_rate) for epsilon in epsilons]
    return [without_privacy(federation), *private]


def train_audit_round(
    model: FederatedModel,
    batch: PatientBatch,
    round_: Round,
) -> None:
    """Train one round in place by the hospital's code."""
    privacy = round_.federation.privacy
    if privacy is None:
        train(model, batch, round_)
    else:
        train_privately(model, batch, round_, privacy)


def rounds_of(federation: Federation, cuts: dict[str, Tensor], seed: int) -> Iterator[Round]:
    """Yield all rounds of a run, in which training without privacy draws anew."""
    for number in range(1, federation.training.rounds + 1):
        yield Round(federation, Preprocessing({}, {}, cuts), number, seed + number)
