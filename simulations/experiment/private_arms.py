"""Private runs beside the arms of an experiment: terms and cost.

A target epsilon decides the noise; the federation file proposes the other terms, or this module if the file has none.
The cost of a run is read from the hospitals' own ledgers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from client.ledger.ledger import LEDGER, Ledger
from common.agreement.agreement import Agreement
from common.agreement.privacy_settings import Privacy
from common.errors import OptionError
from common.families.family import refuse
from common.families.registry import family_of
from common.privacy.accounting import merged, spend
from common.privacy.planning import plan_noise
from simulations.experiment.linear_arm import with_linear_rounds
from simulations.families.registry import study_of

_PROPOSED = Privacy(noise_multiplier=1.0, sampling_rate=1.0, expected_batch_size=10.0)
"""Terms where the federation file proposes none; noise and batch size are then chosen."""


_SMALLEST_BATCH = 10.0


@dataclass(frozen=True)
class Target:
    """Epsilon to train for.

    Attributes:
        epsilon: epsilon of a whole run, for a patient of any hospital.
        federation: agreement, with the noise for this epsilon.
        declared: whether the expected batch size was given; otherwise `sized` chooses one.
    """

    epsilon: float
    federation: Agreement
    declared: bool

    @property
    def privacy(self) -> Privacy:
        """Terms of the agreement."""
        assert self.federation.privacy is not None
        return self.federation.privacy

    @property
    def folder(self) -> str:
        """Name of the run's folder among those of the arms."""
        return f"epsilon-{self.epsilon!r}"

    @property
    def arm(self) -> str:
        """Name of the run among a fold's arms; no arm of the result has such a name."""
        return self.folder

    def sized(self, training_patients: Sequence[int]) -> "Target":
        """Choose an expected batch size for hospitals of such sizes.

        It is their mean in tens, at least `_SMALLEST_BATCH`.
        """
        if self.declared:
            return self
        mean = sum(training_patients) / len(training_patients) * self.privacy.sampling_rate
        size = max(10 * round(mean / 10), _SMALLEST_BATCH)
        privacy = self.privacy.model_copy(update={"expected_batch_size": float(size)})
        return replace(self, federation=self.federation.model_copy(update={"privacy": privacy}))


def settled(
    agreed: Agreement, settings: Mapping[str, str], epsilons: Sequence[float], delta: float | None
) -> tuple[Agreement, tuple[Target, ...]]:
    """Apply the settings: (agreement of all arms but the private ones, targets per epsilon).

    Without an epsilon the federation file's own privacy, if it has any, stays; otherwise it proposes the terms.

    Raises:
        InputError: for a setting that does not fit, an epsilon that cannot be reached, or a setting that would break
            the guarantee.
    """
    if not epsilons:
        if delta is not None:
            raise OptionError("--delta", "needs --epsilon", "give a target, such as --epsilon 8")
        federation = with_linear_rounds(agreed.changed(dict(settings)))
        refuse(family_of(federation), federation)
        return federation, ()
    _check(epsilons, delta)
    if "privacy.noise_multiplier" in settings:
        what = "is decided by --epsilon"
        raise OptionError("--set privacy.noise_multiplier", what, "leave one of the two out")
    declared = agreed.privacy is not None or "privacy.expected_batch_size" in settings
    proposal = agreed.model_copy(update={"privacy": agreed.privacy or _PROPOSED})
    stated = {} if delta is None else {"privacy.delta": repr(delta)}
    changed = proposal.changed({**settings, **stated})
    targets = tuple(_target(epsilon, changed, declared) for epsilon in dict.fromkeys(epsilons))
    return with_linear_rounds(changed.model_copy(update={"privacy": None})), targets


def _check(epsilons: Sequence[float], delta: float | None) -> None:
    for epsilon in epsilons:
        if not 0 < epsilon < math.inf:
            what = "is not a positive number"
            raise OptionError(f"--epsilon {epsilon:g}", what, "give for instance --epsilon 8")
    if delta is not None and not 0 < delta < 1:
        what = "is not between 0 and 1"
        raise OptionError(f"--delta {delta:g}", what, "give for instance --delta 0.001")


def _target(epsilon: float, changed: Agreement, declared: bool) -> Target:
    assert changed.privacy is not None
    try:
        privacy = plan_noise(epsilon, changed.training.rounds, changed.privacy)
    except ValueError as error:
        remedy = "raise it, or plan fewer rounds, fewer steps or less costly statistics"
        raise OptionError(f"--epsilon {epsilon:g}", str(error), remedy) from None
    federation = study_of(changed).under(changed, privacy)
    refuse(family_of(federation), federation)
    return Target(epsilon, federation, declared)


def notes(privacy: Privacy, declared: bool, hospitals: Mapping[str, int]) -> list[str]:
    """Notes for the reader on these terms, for hospitals (name -> patients)."""
    sentences = []
    if not declared:
        sentences.append(
            f"The expected batch size of private training, {privacy.expected_batch_size:g}, was taken from the sizes "
            "of the simulated hospitals; in a real federation the coordinator declares it, as sizes are private."
        )
    smallest = min(hospitals, key=lambda name: hospitals[name])
    if privacy.delta >= 1 / hospitals[smallest]:
        sentences.append(
            f"Delta {privacy.delta:g} is weak for {smallest}: with {hospitals[smallest]:,} patients, a mechanism that "
            f"discloses one of them outright could still meet it. It should be well below "
            f"1 / {hospitals[smallest]:,} patients."
        )
    return sentences


def spent(sites: Sequence[Path], delta: float) -> float:
    """Epsilon of all releases by the ledgers of these hospitals, for the largest spender.

    It is 0 without a release.
    """
    accounts = set()
    for site in sites:
        if (site / LEDGER).is_file():
            with Ledger(site) as ledger:
                accounts.add(merged(ledger.releases()))
    return max((spend(releases, delta).epsilon for releases in accounts), default=0.0)
