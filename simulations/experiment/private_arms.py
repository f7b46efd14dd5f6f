"""Federated runs under differential privacy beside the arms of an experiment: their terms, and what they cost.

A target epsilon decides the noise; the other terms are proposed by the federation file or, where it has none, here.
What a run cost is read from the hospitals' own ledgers.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

from client.ledger.ledger import LEDGER, Ledger
from common.agreement.federation import Federation
from common.agreement.settings import Privacy
from common.errors import OptionError
from common.patients.guarantee import check_agreement
from common.privacy.accounting import merged, spend
from common.privacy.planning import plan_noise, with_privacy
from simulations.results.schema import Arm

_PROPOSED = Privacy(noise_multiplier=1.0, sampling_rate=1.0, expected_batch_size=10.0)
"""Where the federation file proposes nothing; noise and batch size are then found."""


_SMALLEST_BATCH = 10.0


@dataclass(frozen=True)
class Target:
    """An epsilon to train for.

    Attributes:
        epsilon: of a whole run, for a patient of any hospital.
        federation: the agreement, with the noise that this takes.
        declared: whether the expected batch size was given; otherwise `sized` finds one.
    """

    epsilon: float
    federation: Federation
    declared: bool

    @property
    def privacy(self) -> Privacy:
        """The agreement's terms."""
        assert self.federation.privacy is not None
        return self.federation.privacy

    @property
    def folder(self) -> str:
        """Name of its folder among those of the arms."""
        return f"epsilon-{self.epsilon!r}"

    @property
    def arm(self) -> Arm:
        """What its predictions are filed under among a fold's arms, for the time they are scored."""
        return cast(Arm, self.folder)

    def sized(self, training_patients: Sequence[int]) -> "Target":
        """With an expected batch size, for hospitals of such sizes: their mean in tens, at least `_SMALLEST_BATCH`."""
        if self.declared:
            return self
        mean = sum(training_patients) / len(training_patients) * self.privacy.sampling_rate
        size = max(10 * round(mean / 10), _SMALLEST_BATCH)
        privacy = self.privacy.model_copy(update={"expected_batch_size": float(size)})
        return replace(self, federation=self.federation.model_copy(update={"privacy": privacy}))


def settled(
    agreed: Federation, settings: Mapping[str, str], epsilons: Sequence[float], delta: float | None
) -> tuple[Federation, tuple[Target, ...]]:
    """(the agreement of all arms but the private ones, a target per epsilon), with `settings` made.

    Without an epsilon the federation file's own privacy, if it has any, stays; with one it is the proposal.

    Raises:
        InputError: for a setting that does not fit, an epsilon that cannot be reached, or what would break the
            guarantee.
    """
    if not epsilons:
        if delta is not None:
            raise OptionError(
                "--delta", "says nothing without --epsilon", "give a target, such as --epsilon 8"
            )
        federation = agreed.changed(dict(settings))
        check_agreement(federation)
        return federation, ()
    _check(epsilons, delta)
    if "privacy.noise_multiplier" in settings:
        what = "is what --epsilon decides"
        raise OptionError("--set privacy.noise_multiplier", what, "leave one of the two out")
    declared = agreed.privacy is not None or "privacy.expected_batch_size" in settings
    proposal = agreed.model_copy(update={"privacy": agreed.privacy or _PROPOSED})
    stated = {} if delta is None else {"privacy.delta": repr(delta)}
    changed = proposal.changed({**settings, **stated})
    targets = tuple(_target(epsilon, changed, declared) for epsilon in dict.fromkeys(epsilons))
    return changed.model_copy(update={"privacy": None}), targets


def _check(epsilons: Sequence[float], delta: float | None) -> None:
    for epsilon in epsilons:
        if not 0 < epsilon < math.inf:
            what = "is not a positive number"
            raise OptionError(f"--epsilon {epsilon:g}", what, "give for instance --epsilon 8")
    if delta is not None and not 0 < delta < 1:
        what = "is not between 0 and 1"
        raise OptionError(f"--delta {delta:g}", what, "give for instance --delta 0.001")


def _target(epsilon: float, changed: Federation, declared: bool) -> Target:
    assert changed.privacy is not None
    try:
        privacy = plan_noise(epsilon, changed.training.rounds, changed.privacy)
    except ValueError as error:
        remedy = "raise it, or plan fewer rounds, fewer steps or less costly statistics"
        raise OptionError(f"--epsilon {epsilon:g}", str(error), remedy) from None
    federation = with_privacy(changed, privacy)
    check_agreement(federation)
    return Target(epsilon, federation, declared)


def notes(privacy: Privacy, declared: bool, hospitals: Mapping[str, int]) -> list[str]:
    """What a reader has to know of these terms, for hospitals (name -> patients)."""
    said = []
    if not declared:
        said.append(
            f"The expected batch size of private training, {privacy.expected_batch_size:g}, was taken from the sizes "
            "of the simulated hospitals; in a real federation the coordinator declares it, as sizes are private."
        )
    smallest = min(hospitals, key=lambda name: hospitals[name])
    if privacy.delta >= 1 / hospitals[smallest]:
        said.append(
            f"Delta {privacy.delta:g} is weak for {smallest}: with {hospitals[smallest]:,} patients, a mechanism that "
            f"discloses one of them outright could still meet it. It should be well below "
            f"1 / {hospitals[smallest]:,} patients."
        )
    return said


def spent(sites: Sequence[Path], delta: float) -> float:
    """Epsilon of all that left, by these hospitals' ledgers, for the hospital that spent most; 0 if nothing left."""
    accounts = set()
    for site in sites:
        if (site / LEDGER).is_file():
            with Ledger(site) as ledger:
                accounts.add(merged(ledger.releases()))
    return max((spend(releases, delta).epsilon for releases in accounts), default=0.0)
