"""Policy of a hospital: the federation file proposes, the hospital disposes.

The policy is the `[policy]` table of `site.toml`, read from the hospital's own disk; nothing a coordinator sends can
change it.
"""

from dataclasses import dataclass
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from common.agreement.agreement import Agreement
from common.agreement.reach import UNDECLARED_PATIENTS, USUAL_REACH, largest_hospital, widest_round
from common.agreement.settings import LOSS_NOISE, MOST_NOISE, Privacy, Statistics
from common.errors import Refusal, RefusalCode
from common.privacy.accounting import Release

USUAL_COUNT: int = Statistics().minimum_count
"""Fewest patients behind an exact number, where neither file nor policy say another."""


USUAL_REFUSALS = 20
"""Refused requests per approval of a file that get the code of their fault, where a policy does not say another."""


WITHOUT_PRIVACY = Release(mechanism="without-privacy")


class Policy(BaseModel):
    """Limits of a hospital; without any, the proposal of the federation file holds.

    Attributes:
        require_dp: take part only where the federation file has differential privacy.
        minimum_noise_multiplier: floor for the noise of training and of noised statistics; it implies `require_dp`.
        maximum_clip_norm: cap for the clipping norm.
        maximum_epsilon: the most that all this cohort ever released may cost, at `delta`. It implies `require_dp`.
            Without it one federation file gets as many rounds as it was approved for.
        delta: at which `maximum_epsilon` holds.
        minimum_cohort: the fewest patients with which this hospital takes part.
        minimum_count: floor for the federation file's `statistics.minimum_count`: exact counts, sums and pairs behind
            which fewer patients stand do not leave. A lower one has to be written down.
        minimum_loss_noise: floor for the federation file's `statistics.loss_noise`: sums of losses do not leave
            with less noise.
        tasks: names of the permitted tasks; all if left out.
        statistics: permitted kinds. If left out, `public` ones, which are outside the guarantee, are permitted where
            the policy does not demand privacy; a federation without privacy needs them.
        maximum_runs: runs of a federation file in which this hospital takes part per approval of the file.
        maximum_refusals: requests per approval of a file that are refused with the code of their fault; once there
            were as many, whatever is asked gets one and the same code.
        maximum_reach: without privacy, the most that one round of the federation file may move a weight of size 1. It
            follows from the declared sizes, rate, epochs and batch size, and bounds the weights that are accepted.
        largest_hospital: without privacy, the most patients that the file may declare for a hospital. They bound how
            fine the scaling of a request may be.
        maximum_linear_rounds: without privacy, the most rounds of a file in which exact gradients of the linear scores
            leave (`training.linear_rounds`); chosen scores can read single patients out of them.
        assessment: without privacy, whether sums about the trained model leave at the end of a run: how it is
            calibrated, how far its intervals reach, and what its predictions follow from.
        maximum_update_norm: the most that a round's weights may differ from those received, as a Euclidean norm over
            all parameters; an update beyond it stays at the hospital.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    require_dp: bool = False
    minimum_noise_multiplier: float = Field(default=0.0, ge=0, le=MOST_NOISE)
    maximum_clip_norm: float | None = Field(default=None, gt=0)
    maximum_epsilon: float | None = Field(default=None, gt=0)
    delta: float = Field(default=1e-3, gt=0, lt=1)
    minimum_cohort: int = Field(default=0, ge=0)
    minimum_count: int = Field(default=USUAL_COUNT, ge=1)
    minimum_loss_noise: float = Field(default=LOSS_NOISE, ge=0)
    tasks: tuple[str, ...] | None = None
    statistics: tuple[Literal["declared", "noised", "public"], ...] | None = None
    maximum_runs: int = Field(default=1, ge=1)
    maximum_refusals: int = Field(default=USUAL_REFUSALS, ge=1)
    maximum_reach: float = Field(default=USUAL_REACH, gt=0)
    largest_hospital: int = Field(default=UNDECLARED_PATIENTS, ge=1)
    maximum_linear_rounds: int = Field(default=0, ge=0)
    assessment: bool = True
    maximum_update_norm: float | None = Field(default=None, gt=0)

    @property
    def demands_privacy(self) -> bool:
        """Whether a federation without privacy is declined."""
        return self.require_dp or self.maximum_epsilon is not None or self.minimum_noise_multiplier > 0


@dataclass(frozen=True)
class Limit:
    """Largest cost of a cohort's releases; epsilon None is no limit."""

    epsilon: float | None
    delta: float


@dataclass(frozen=True)
class Terms:
    """Terms of a federation at a hospital: the stricter of the file's proposal and the policy.

    Attributes:
        privacy: None in a federation without.
        limit: over everything this cohort ever released.
        minimum_count: the fewest patients behind any exact number that leaves.
        loss_noise: standard deviation of the noise on sums of losses, in units of the most that one patient adds.
    """

    privacy: Privacy | None
    limit: Limit
    minimum_count: int
    loss_noise: float = LOSS_NOISE

    def statistics_releases(self) -> tuple[Release, ...]:
        """Releases of an answer to a statistics request; none if scaling is declared."""
        if self.privacy is None:
            return (WITHOUT_PRIVACY,)
        if self.privacy.statistics == "declared":
            return ()
        if self.privacy.statistics == "public":
            return (Release(mechanism="public-statistics"),)
        noise = self.privacy.statistics_noise_multiplier
        return (Release(mechanism="statistics", noise_multiplier=noise),)

    def round_releases(self) -> tuple[Release, ...]:
        """Releases of a round of training."""
        return self._training(rounds=1)

    def assessment_releases(self) -> tuple[Release, ...]:
        """Releases of an answer about the trained model."""
        if self.privacy is None:
            return (WITHOUT_PRIVACY,)
        noise = self.privacy.explanations_noise_multiplier
        return () if noise is None else (Release(mechanism="explanations", noise_multiplier=noise),)

    def whole_run(self, rounds: int) -> tuple[Release, ...]:
        """Releases of a whole run: statistics, `rounds` (1 or more) of training, the assessment."""
        about_the_model = self.assessment_releases() if self.privacy is not None else ()
        return (*self.statistics_releases(), *self._training(rounds), *about_the_model)

    def _training(self, rounds: int) -> tuple[Release, ...]:
        if self.privacy is None:
            return (WITHOUT_PRIVACY,)
        return (
            Release(
                mechanism="training",
                noise_multiplier=self.privacy.noise_multiplier,
                sampling_rate=self.privacy.sampling_rate,
                steps=self.privacy.steps * rounds,
            ),
        )


def agree(policy: Policy, federation: Agreement, patients: int) -> Terms:
    """Agree on the terms for a hospital with so many patients.

    Raises:
        Refusal: if the policy forbids taking part.
    """
    if patients < policy.minimum_cohort:
        raise Refusal(RefusalCode.DECLINED_COHORT)
    names = set(federation.task_names)
    if policy.tasks is not None and (not names or names - set(policy.tasks)):
        raise Refusal(RefusalCode.DECLINED_TASK)
    privacy = federation.privacy
    if privacy is None and policy.demands_privacy:
        raise Refusal(RefusalCode.DECLINED_WITHOUT_PRIVACY)
    if federation.linear_rounds > policy.maximum_linear_rounds:
        raise Refusal(RefusalCode.DECLINED_LINEAR)
    if privacy is None and not _is_within_reach(policy, federation):
        raise Refusal(RefusalCode.DECLINED_REACH)
    statistics = "public" if privacy is None else privacy.statistics
    permitted = policy.statistics or (("declared", "noised") if policy.demands_privacy else (statistics,))
    if statistics not in permitted:
        raise Refusal(RefusalCode.DECLINED_STATISTICS)
    stricter = None if privacy is None else _stricter(policy, privacy)
    least = max(policy.minimum_count, federation.statistics.minimum_count)
    noise = max(policy.minimum_loss_noise, federation.statistics.loss_noise)
    return Terms(stricter, Limit(policy.maximum_epsilon, policy.delta), least, noise)


def _is_within_reach(policy: Policy, federation: Agreement) -> bool:
    """Whether sizes and training of a file leave no more room for inputs than the policy does."""
    return (
        largest_hospital(federation) <= policy.largest_hospital
        and widest_round(federation) <= policy.maximum_reach
    )


def _stricter(policy: Policy, privacy: Privacy) -> Privacy:
    """Put the policy's floor and cap into the file's constants.

    The noise's standard deviation is multiplier x clip norm: a lower clip norm lowers noise and sensitivity alike and
    leaves the guarantee as it is.
    """
    floor, clip = policy.minimum_noise_multiplier, policy.maximum_clip_norm
    explaining = privacy.explanations_noise_multiplier
    return privacy.model_copy(
        update={
            "noise_multiplier": max(privacy.noise_multiplier, floor),
            "statistics_noise_multiplier": max(privacy.statistics_noise_multiplier, floor),
            "explanations_noise_multiplier": (
                None if explaining is None or not policy.assessment else max(explaining, floor)
            ),
            "clip_norm": privacy.clip_norm if clip is None else min(privacy.clip_norm, clip),
        }
    )
