"""Egress gate: only a message of an approved type that fits the agreement leaves.

The gate stands outside the app. It decides on the outgoing message from its records, the request, and what lies on the
hospital's own disk: agreement, approved shapes, policy and ledger. What passes is not the app's message but a new one,
built from the values that were checked: nothing can ride along in an order, a padding, a header or the metadata. It is
fail-closed: what it does not understand, or fails on, is replaced by a refusal.
"""

import logging
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from flwr.app import Error, Message, RecordDict

from client.egress.checks import (
    fit_assessment,
    fit_evaluation,
    fit_statistics,
    fit_training,
    fit_update,
    in_order,
    noised_part,
)
from client.egress.cohort import CohortSize
from client.egress.expected import BlockedError, BlockReason, Expected, Shapes, block_unless
from client.egress.meaning import require_the_tables
from client.ledger.asked import refusals_since_approval
from client.ledger.entries import Entry
from client.privacy.noise import NoisedSteps, NoisedSums
from client.site_folder.policy import Policy, Terms, agree
from client.training.error_feedback import encoded_update
from common.agreement.agreement import Agreement
from common.agreement.reach import UNDECLARED_PATIENTS
from common.assessment.part import flat_size, unflattened
from common.errors import Refusal, RefusalCode
from common.families.registry import family_of
from common.messages.exchange import (
    ASSESSMENT,
    STATISTICS,
    AssessmentReply,
    AssessmentRequest,
    EvaluateReply,
    InvalidMessageError,
    ModelRequest,
    RefusalReply,
    StatisticsReply,
    StatisticsRequest,
    TrainReply,
    UpdateReply,
    is_refusal,
)
from common.messages.run_identity import run_number
from common.messages.statistics import SiteStatistics
from common.models.parameter_groups import ModelGroups
from common.privacy.accounting import Release

log = logging.getLogger("consilium.gate")


APPROVED_TYPES = (STATISTICS, "train", "evaluate", ASSESSMENT)


ERROR_CODE = 2
"""Flower's code for an app that raised; the gate lets no other leave a hospital."""


ERROR_SENTENCE = "The site could not answer; its own log says why."


_ENVELOPE = (
    "run_id",
    "src_node_id",
    "dst_node_id",
    "reply_to_message_id",
    "group_id",
    "message_type",
    "src_task_id",
    "dst_task_id",
)


_TTL_TOLERANCE_S = 1.0


@dataclass(frozen=True)
class Verdict:
    """Decision on a message.

    Attributes:
        outcome: `passed`; `refused`, the site's own refusal; `failed`, an error without its text; `blocked`.
        message: what leaves.
        reason: of a block, or the code of a refusal; empty otherwise.
        update_norm: L2 norm of the weights' change, where there are weights.
        suppressed: tasks whose pairs were too few to be told.
        reservation: number of the ledger entry behind the message; None where nothing needs one.
    """

    outcome: Literal["passed", "refused", "failed", "blocked"]
    message: Message
    reason: str = ""
    update_norm: float | None = None
    suppressed: tuple[str, ...] = ()
    reservation: int | None = None


class Gate:
    """Gate of one message: it decides on the request first, and on the reply afterwards.

    Args:
        federation: the hospital's own copy of the agreement.
        policy: what the hospital allows.
        site: the hospital's name.
        weights: parameter -> shape of the approved model.
        groups: averaging groups of its parameters.
        cohort: counts the units in the hospital's tables, when a reply is to leave.
        statistics: computes the exact sums of the hospital's tables with a minimum count; called once a run.
        ledger: reads the entries of the hospital's ledger; called now and when a reply is to leave. A reply under
            privacy needs a reservation made in between, so that none is ever used for two messages of a process.
        residual: file of the residual of encoded updates, which only private rounds under an encoding need.
    """

    def __init__(
        self,
        federation: Agreement,
        policy: Policy,
        site: str,
        weights: Shapes,
        groups: ModelGroups,
        cohort: Callable[[], CohortSize],
        statistics: Callable[[int], SiteStatistics],
        ledger: Callable[[], Sequence[Entry]],
        residual: Path | None = None,
    ) -> None:
        self._federation, self._policy, self._site = federation, policy, site
        self._weights, self._groups, self._cohort, self._sums = weights, groups, cohort, statistics
        self._ledger = ledger
        self._before, self._residual = tuple(ledger()), residual
        self._steps: NoisedSteps | None = None
        self._noise: NoisedSums | None = None

    def objection(self, request: Message) -> RefusalCode | None:
        """Return the reason for which the app must not see the request; None without one."""
        if refusals_since_approval(self._before, self._federation.digest) >= self._policy.maximum_refusals:
            return RefusalCode.DECLINED_REFUSALS
        return None if self._unfit(request) is None else RefusalCode.REQUEST_INVALID

    def begin_noise(self, request: Message) -> NoisedSteps | NoisedSums | None:
        """Begin what noise a private answer needs; None where it needs none.

        Args:
            request: that has no objection.

        Raises:
            InvalidMessageError: if the request has not the approved form.
            Refusal: if the policy does not allow taking part.
        """
        privacy = agree(self._policy, self._federation, self._policy.minimum_cohort).privacy
        kind = request.metadata.message_type
        if privacy is None:
            return None
        if kind == STATISTICS and privacy.statistics == "noised":
            self._noise = NoisedSums(
                *family_of(self._federation).noised_sums(self._federation),
                privacy.statistics_noise_multiplier,
                self._most_patients(self._cohort()),
            )
            return self._noise
        if kind == ASSESSMENT and privacy.explanations_noise_multiplier is not None:
            part = noised_part(AssessmentRequest.from_record(request.content), self._federation)
            self._noise = NoisedSums(
                flat_size(part, self._federation),
                part.bound(self._federation),
                privacy.explanations_noise_multiplier,
                self._most_patients(self._cohort()),
            )
            return self._noise
        if kind != "train":
            return None
        asked = ModelRequest.from_record(request.content)
        try:
            weights = in_order(asked.weights, self._weights, np.dtype(np.float32))
        except BlockedError:
            raise InvalidMessageError("this request is not about the approved model") from None
        cohort = self._cohort()
        learnable = self._groups.learnable(privacy, cohort.absent)
        self._steps = NoisedSteps(
            {name: array.astype(np.float32) for name, array in weights.items() if name in learnable},
            self._federation,
            privacy,
            asked.round,
            self._most_patients(cohort),
        )
        return self._steps

    def _most_patients(self, cohort: CohortSize) -> int:
        """Return the hospital's number of units, or what the agreement has it have at most."""
        if cohort.units is not None:
            return cohort.units
        declared = {participant.name: participant.patients for participant in self._federation.participants}
        return declared.get(self._site) or UNDECLARED_PATIENTS

    def foreseen(self, request: Message) -> tuple[list[Release], list[Release]]:
        """Return the releases in the ledger, and those in it once the request is answered as asked.

        Raises:
            Refusal: if the policy does not allow taking part.
        """
        terms = agree(self._policy, self._federation, self._policy.minimum_cohort)
        kind = request.metadata.message_type
        before = [release for entry in self._before for release in entry.releases]
        if kind == STATISTICS:
            return before, [*before, *terms.statistics_releases()]
        if kind == ASSESSMENT and terms.privacy is not None:
            return before, [*before, *terms.assessment_releases()]
        return before, [*before, *(terms.round_releases() if kind == "train" else ())]

    def _unfit(self, request: Message) -> BlockReason | None:
        """Block requests for patients of the coordinator's choice and rounds beyond the agreement."""
        header = request.content.config_records.get("header")
        if header is None:
            return BlockReason.NOT_A_MESSAGE
        if header.get("fold") != -1:
            return BlockReason.HELD_OUT
        kind = request.metadata.message_type
        # the closing evaluation is after the last round, and an assessment may be about what it evaluated
        last = self._federation.training.rounds + (kind in ("evaluate", ASSESSMENT))
        round_ = header.get("round")
        if kind != STATISTICS and not (isinstance(round_, int) and 1 <= round_ <= last):
            return BlockReason.WRONG_ROUND
        return None

    def check(self, request: Message, reply: Message) -> Verdict:
        """Decide what leaves in answer to a request; never raises."""
        try:
            return self._checked(request, reply)
        except BlockedError as blocked:
            reason = blocked.reason
        except Exception:  # whatever goes wrong here, nothing of the reply leaves
            reason = BlockReason.GATE_FAILED
        message = refusal(request, self._site, RefusalCode.GATE_BLOCKED)
        return Verdict("blocked", message, reason)

    def _checked(self, request: Message, reply: Message) -> Verdict:
        _same_envelope(request, reply)
        if reply.has_error():
            return failure_reply(request)
        content = reply.content
        if is_refusal(content):
            return self._refused(request, content)
        kind = request.metadata.message_type
        block_unless(kind in APPROVED_TYPES, BlockReason.MESSAGE_TYPE)
        if (unfit := self._unfit(request)) is not None:
            raise BlockedError(unfit)
        expected = Expected(
            self._site,
            self._federation,
            self._terms(),
            self._weights,
            self._groups,
            self._cohort(),
            self._policy.maximum_update_norm,
        )
        try:
            if kind == STATISTICS:
                return self._statistics(request, content, expected)
            if kind == ASSESSMENT:
                return self._assessment(request, content, expected)
            asked = ModelRequest.from_record(request.content)
            block_unless(asked.federation == self._federation.digest, BlockReason.MESSAGE_TYPE)
            if kind == "train":
                number = self._reserved(expected.terms.round_releases(), asked.round)
                run = run_number(request.content, request.metadata.run_id)
                training, norm, fewer = self._trained(run, content, asked, expected)
                passed = _reply(request, training.to_record())
                return Verdict("passed", passed, "", norm, fewer, number)
            evaluation, fewer = fit_evaluation(EvaluateReply.from_record(content), asked, expected)
            number = None
            if expected.terms.privacy is None:
                number = self._reserved(expected.terms.round_releases(), asked.round)
            passed = _reply(request, evaluation.to_record())
            return Verdict("passed", passed, "", None, fewer, number)
        except InvalidMessageError as error:
            log.warning("%s: %s", error, error.reason)
            raise BlockedError(BlockReason.NOT_A_MESSAGE) from None

    def _trained(
        self, run: int, content: RecordDict, asked: ModelRequest, expected: Expected
    ) -> tuple[TrainReply | UpdateReply, float, tuple[str, ...]]:
        """Fit the reply of training, in the one form that the agreement has for it.

        Under privacy an update is encoded here, from the weights of the gate's own noised steps.
        """
        plain = self._federation.wire.update == "float32"
        if expected.terms.privacy is None and not plain:
            return fit_update(UpdateReply.from_record(content), asked, expected)
        fitted, norm, fewer = fit_training(TrainReply.from_record(content), asked, expected)
        if expected.terms.privacy is None:
            return fitted, norm, fewer
        self._require_noised(fitted)
        if plain:
            return fitted, norm, fewer
        return fit_update(self._encoded(run, fitted, asked), asked, expected)

    def _require_noised(self, reply: TrainReply) -> None:
        """Block weights that are not those of the gate's noised steps, all of them taken."""
        steps = self._steps
        if steps is None or not steps.over:
            raise BlockedError(BlockReason.UNNOISED)
        for name, array in steps.weights.items():
            block_unless(reply.weights[name].tobytes() == array.tobytes(), BlockReason.UNNOISED)

    def _require_noised_sums(self, reply: StatisticsReply, noise_multiplier: float) -> None:
        """Block statistics that do not follow from the sums to which the gate added noise."""
        if self._noise is None or self._noise.noised is None:
            raise BlockedError(BlockReason.UNNOISED)
        family = family_of(self._federation)
        noised = family.noised_statistics(self._noise.noised, self._federation, noise_multiplier)
        for name, sums in noised.moments.items():
            block_unless(reply.moments[name].tobytes() == sums.tobytes(), BlockReason.UNNOISED)

    def _require_noised_assessment(self, reply: AssessmentReply, asked: AssessmentRequest) -> None:
        """Block sums about the model that are not those to which the gate added noise."""
        if self._noise is None or self._noise.noised is None:
            raise BlockedError(BlockReason.UNNOISED)
        part = noised_part(asked, self._federation)
        for name, sums in unflattened(part, self._federation, self._noise.noised).items():
            block_unless(reply.sums[name].tobytes() == sums.tobytes(), BlockReason.UNNOISED)

    def _encoded(self, run: int, reply: TrainReply, asked: ModelRequest) -> UpdateReply:
        assert self._residual is not None
        assert self._steps is not None
        wire, limit = self._federation.wire, self._policy.maximum_update_norm
        try:
            update = encoded_update(
                self._residual, run, asked, reply.weights, self._steps.weights, wire, limit
            )
        except Refusal:
            raise BlockedError(BlockReason.UPDATE_NORM) from None
        return UpdateReply(
            site=reply.site, round=reply.round, update=update, patients=reply.patients, metrics=reply.metrics
        )

    def _refused(self, request: Message, content: RecordDict) -> Verdict:
        try:
            reply = RefusalReply.from_record(content)
        except InvalidMessageError as error:
            log.warning("%s: %s", error, error.reason)
            raise BlockedError(BlockReason.NOT_A_MESSAGE) from None
        block_unless(reply.site in ("", self._site), BlockReason.WRONG_SITE)
        return Verdict("refused", refusal(request, self._site, reply.code), reply.code)

    def _statistics(self, request: Message, content: RecordDict, expected: Expected) -> Verdict:
        asked = StatisticsRequest.from_record(request.content)
        block_unless(asked.federation == self._federation.digest, BlockReason.MESSAGE_TYPE)
        reply = fit_statistics(StatisticsReply.from_record(content), expected)
        privacy = expected.terms.privacy
        if privacy is None or privacy.statistics == "public":
            require_the_tables(reply.moments, self._sums(expected.terms.minimum_count))
        elif privacy.statistics == "noised":
            self._require_noised_sums(reply, privacy.statistics_noise_multiplier)
        number = self._reserved(expected.terms.statistics_releases(), None)
        return Verdict("passed", _reply(request, reply.to_record()), reservation=number)

    def _assessment(self, request: Message, content: RecordDict, expected: Expected) -> Verdict:
        asked = AssessmentRequest.from_record(request.content)
        block_unless(asked.federation == self._federation.digest, BlockReason.MESSAGE_TYPE)
        block_unless(self._policy.assessment, BlockReason.POLICY)
        reply = fit_assessment(AssessmentReply.from_record(content), asked, expected)
        if expected.terms.privacy is not None:
            self._require_noised_assessment(reply, asked)
        number = self._reserved(expected.terms.assessment_releases(), asked.round)
        return Verdict("passed", _reply(request, reply.to_record()), reservation=number)

    def _terms(self) -> Terms:
        """The terms, whatever the size of the cohort: the app looks at that."""
        try:
            return agree(self._policy, self._federation, self._policy.minimum_cohort)
        except Refusal:
            raise BlockedError(BlockReason.POLICY) from None

    def _reserved(self, releases: tuple[Release, ...], round_: int | None) -> int | None:
        """Find the newest reservation of these releases; without privacy, of any round."""
        if not releases:
            return None
        entries = self._ledger()
        unbounded = any(release.mechanism == "without-privacy" for release in releases)
        for entry in reversed(entries if unbounded else entries[len(self._before) :]):
            fits = entry.kind == "reserved" and entry.run == self._federation.digest
            if fits and entry.releases == releases and (unbounded or entry.round == round_):
                return entry.number
        raise BlockedError(BlockReason.LEDGER)


def refusal(request: Message, site: str, code: RefusalCode) -> Message:
    """A refusal in answer to a request."""
    return _reply(request, RefusalReply(site=site, code=code).to_record())


def failure_reply(request: Message) -> Verdict:
    """An error in answer to a request: a code and a fixed sentence, whatever the error was."""
    return Verdict("failed", Message(Error(ERROR_CODE, ERROR_SENTENCE), reply_to=request))


def _reply(request: Message, content: RecordDict) -> Message:
    return Message(content, reply_to=request)


def _same_envelope(request: Message, reply: Message) -> None:
    """Block a reply whose metadata is not what any reply to this request has."""
    plain = Message(RecordDict(), reply_to=request).metadata
    for field in _ENVELOPE:
        block_unless(getattr(reply.metadata, field) == getattr(plain, field), BlockReason.ENVELOPE)
    ttl = reply.metadata.ttl
    block_unless(
        math.isfinite(ttl) and 0 < ttl <= request.metadata.ttl + _TTL_TOLERANCE_S, BlockReason.ENVELOPE
    )
    block_unless(math.isfinite(reply.metadata.created_at), BlockReason.ENVELOPE)
