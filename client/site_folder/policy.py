"""Policy of a hospital: the federation file proposes, the hospital disposes.

The policy is the `[policy]` table of `site.toml`, read from the hospital's own disk; nothing a coordinator sends can
change it.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from common.agreement.agreement import Agreement
from common.agreement.privacy_settings import MOST_NOISE, Privacy
from common.agreement.reach import UNDECLARED_PATIENTS, USUAL_REACH, largest_hospital, widest_round
from common.agreement.settings import LOSS_NOISE, Statistics
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
        privacy: `required` takes part only where the federation file has differential privacy. `allowed` takes part
            with it and without; limits of privacy then hold where the file has it. If left out, `require_dp` and limits
            of privacy decide: any of `require_dp`, `minimum_noise_multiplier` and `maximum_epsilon` requires it.
        require_dp: earlier spelling of `privacy = "required"`.
        minimum_noise_multiplier: floor for the noise of training and of noised statistics.
        maximum_clip_norm: cap for the clipping norm.
        maximum_epsilon: the most that all this cohort ever released may cost, at `delta`. Without it one federation
            file gets as many rounds as it was approved for.
        delta: at which `maximum_epsilon` holds.
        minimum_cohort: the fewest patients with which this hospital takes part.
        minimum_count: floor for the federation file's `statistics.minimum_count`: exact counts, sums and pairs behind
            which fewer patients stand do not leave. A lower one has to be written down.
        minimum_loss_noise: floor for the federation file's `statistics.loss_noise`: sums of losses do not leave
            with less noise.
        tasks: names of the permitted tasks; all if left out.
        statistics: permitted kinds. If left out, `public` ones, which are outside the guarantee, are permitted where
            the policy does not demand privacy. A federation without privacy needs them, and `privacy = "allowed"`
            permits them to it whatever stands here.
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

    privacy: Literal["required", "allowed"] | None = None
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

    @model_validator(mode="after")
    def _says_it_once(self) -> Self:
        if self.require_dp and self.privacy == "allowed":
            raise ValueError('has require_dp = true beside privacy = "allowed": remove require_dp')
        return self

    @property
    def demands_privacy(self) -> bool:
        """Whether a federation without privacy is declined."""
        if self.privacy is not None:
            return self.privacy == "required"
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
        Refusal: if the policy forbids taking part; its remedy has the key and the value that would lift it.
    """
    if patients < policy.minimum_cohort:
        raise _declined(RefusalCode.DECLINED_COHORT, f"minimum_cohort = {patients}")
    names = federation.task_names
    if policy.tasks is not None and (not names or {*names} - {*policy.tasks}):
        if not names:
            raise Refusal(
                RefusalCode.DECLINED_TASK, "remove `tasks` from [policy] in site.toml if the hospital agrees"
            )
        raise _declined(RefusalCode.DECLINED_TASK, f"tasks = {_array((*policy.tasks, *names))}")
    privacy = federation.privacy
    if privacy is None and policy.demands_privacy:
        raise _declined(
            RefusalCode.DECLINED_WITHOUT_PRIVACY,
            'privacy = "allowed"',
            "add [privacy] to the federation file, or ",
        )
    if federation.linear_rounds > policy.maximum_linear_rounds:
        lifted = f"maximum_linear_rounds = {federation.linear_rounds}"
        other = "set training.linear_rounds = 0 in the federation file or add [privacy] to it, or, for a coordinator "
        raise _declined(RefusalCode.DECLINED_LINEAR, lifted, f"{other}that may see single patients, ")
    if privacy is None and (lines := _beyond_reach(policy, federation)):
        other = "take larger batches, fewer epochs or a lower learning rate, declare true sizes, add [privacy], or "
        raise _declined(RefusalCode.DECLINED_REACH, "` and `".join(lines), other)
    statistics = "public" if privacy is None else privacy.statistics
    permitted = _permitted_statistics(policy, federation)
    if statistics not in permitted:
        lifted = f"statistics = {_array((*permitted, statistics))}"
        raise _declined(
            RefusalCode.DECLINED_STATISTICS, lifted, "declare the scaling in the federation file, or "
        )
    stricter = None if privacy is None else _stricter(policy, privacy)
    least = max(policy.minimum_count, federation.statistics.minimum_count)
    noise = max(policy.minimum_loss_noise, federation.statistics.loss_noise)
    limit = Limit(None if privacy is None else policy.maximum_epsilon, policy.delta)
    return Terms(stricter, limit, least, noise)


def _permitted_statistics(policy: Policy, federation: Agreement) -> tuple[str, ...]:
    """Kinds of statistics that a policy permits to this federation."""
    if federation.privacy is None and policy.privacy == "allowed":
        return ("public",)
    proposed = "public" if federation.privacy is None else federation.privacy.statistics
    return policy.statistics or (("declared", "noised") if policy.demands_privacy else (proposed,))


def _beyond_reach(policy: Policy, federation: Agreement) -> list[str]:
    """Lines of a policy that would permit the sizes and the training of a file."""
    lines = []
    if (largest := largest_hospital(federation)) > policy.largest_hospital:
        lines.append(f"largest_hospital = {largest}")
    if (widest := widest_round(federation)) > policy.maximum_reach:
        lines.append(f"maximum_reach = {math.ceil(widest * 100) / 100:g}")
    return lines


def _declined(code: RefusalCode, line: str, other: str = "") -> Refusal:
    """Refusal by a policy, with the line of [policy] that would lift it."""
    return Refusal(code, f"{other}write `{line}` under [policy] in site.toml if the hospital agrees")


def _array(texts: Iterable[str]) -> str:
    return f"[{', '.join(json.dumps(text, ensure_ascii=False) for text in dict.fromkeys(texts))}]"


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
