"""Assessment of a run's kept weights: sums that the hospitals send about them, part by part.

Every question's sums are on disk before the next is asked, so that an interrupted assessment goes on where it was. A
hospital that declines, or answers with anything else than sums that its patients can have, is not in them; nothing
else depends on it, and the run keeps its model without any.
"""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import ceil

import numpy as np
from flwr.app import Message
from flwr.serverapp import Grid
from numpy.typing import NDArray

from common.agreement.reach import UNDECLARED_PATIENTS
from common.assessment.part import AnyPart, Arrays, NoisedPart, SiteSums, Whose, questions_of
from common.messages.exchange import ASSESSMENT, AssessmentReply, AssessmentRequest
from server.aggregation.model_exchange import RunContext
from server.aggregation.replies import UnusableReplyError, read, sender
from server.aggregation.site_sums import NOISE_TAIL
from server.records.assessment import read_answers, write_answers
from server.records.dropped import Dropped, DropReason, ordered
from server.records.journal import AssessedSite, AssessmentRecord, Journal
from server.records.progress import ProgressFile
from server.runs.clock import Clock
from server.runs.dispatch import exchange

HELD_OUT_ROOM = 3
"""Held-out units beyond the share of the federation file, by rounding and where a hospital has few."""


@dataclass(frozen=True)
class Assessed:
    """Weights that are assessed.

    Attributes:
        round: in which the run sent them; of the last weights, the closing evaluation.
        weights: the weights.
    """

    round: int
    weights: dict[str, NDArray[np.float32]]


def assess(
    grid: Grid,
    run: RunContext,
    kept: Assessed,
    journal: Journal,
    progress: ProgressFile | None = None,
    clock: Clock = time,
) -> None:
    """Ask every question of the agreement, and keep the hospitals' sums in the run's folder."""
    assert run.folder is not None
    asked: Arrays = {}
    for asked_before, (part, number) in enumerate(questions_of(run.federation)):
        sites = read_answers(run.folder, part, number, kept.weights)
        if sites is None:
            request = AssessmentRequest(
                federation=run.federation.digest,
                round=kept.round,
                fold=run.fold,
                run=run.name,
                part=part.name,
                number=number,
                weights={**kept.weights},
                preprocessing=run.preprocessing,
                asked=dict(asked),
            )
            sites = _answers(grid, run, request, part, journal, progress, clock, asked_before + 1)
            write_answers(run.folder, part, number, kept.weights, sites)
        is_last = number + 1 == part.questions(run.federation)
        asked = {} if is_last else part.next(run.federation, sites, number)


def _answers(
    grid: Grid,
    run: RunContext,
    request: AssessmentRequest,
    part: AnyPart,
    journal: Journal,
    progress: ProgressFile | None,
    clock: Clock,
    position: int,
) -> dict[str, SiteSums]:
    """Ask one question, note who answered, and return their sums."""
    began, deadline_s = clock.monotonic(), run.federation.rounds.deadline_s
    content = request.to_record()
    requests = [Message(content, node, ASSESSMENT, ttl=deadline_s) for node in run.roster.nodes.values()]
    if progress is not None:
        progress.begin("assessment", position, run.roster.sites)
    heard = None if progress is None else progress.heard
    replies = exchange(grid, requests, deadline_s, heard, clock)
    sites, sha256, dropped = _collected(replies, requests, run, request, part)
    journal.write(
        AssessmentRecord(
            part=part.name,
            number=request.number,
            seconds=round(clock.monotonic() - began, 3),
            sites={
                site: AssessedSite(patients=sums.patients, sha256=sha256[site])
                for site, sums in sites.items()
            },
            dropped=dropped,
        )
    )
    return sites


def _collected(
    replies: Iterator[Message],
    requests: Iterable[Message],
    run: RunContext,
    request: AssessmentRequest,
    part: AnyPart,
) -> tuple[dict[str, SiteSums], dict[str, str], tuple[Dropped, ...]]:
    names, dropped = run.roster.sites, list[Dropped]()
    usable: dict[str, list[SiteSums]] = {}
    sha256: dict[str, str] = {}
    sent = [asked.metadata for asked in requests]
    for message in replies:
        node = sender(message, sent)
        site = names.get(node)
        if site is None:
            dropped.append(Dropped(node=node, reason=DropReason.UNKNOWN_NODE))
            continue
        try:
            reply = read(AssessmentReply.from_record, message)
            if reply.site != site:
                raise UnusableReplyError(DropReason.WRONG_SITE)
            if (reply.part, reply.number) != (request.part, request.number):
                raise UnusableReplyError(DropReason.WRONG_ROUND)
            usable.setdefault(site, []).append(_sums(reply, run, part))
            sha256[site] = message.content.object_id
        except UnusableReplyError as bad:
            dropped.append(Dropped(site=site, reason=bad.reason, code=bad.code))
    heard = {*usable, *(hospital.site for hospital in dropped)}
    dropped += [
        Dropped(site=site, reason=DropReason.NO_REPLY) for site in names.values() if site not in heard
    ]
    dropped += [Dropped(site=site, reason=DropReason.DUPLICATE) for site in usable if len(usable[site]) > 1]
    sites = {site: usable[site][0] for site in sorted(usable) if len(usable[site]) == 1}
    return sites, {site: sha256[site] for site in sites}, ordered(dropped)


def _sums(reply: AssessmentReply, run: RunContext, part: AnyPart) -> SiteSums:
    """Return a reply's sums, which so many patients can have.

    Raises:
        UnusableReplyError: if they cannot.
    """
    limits = part.sums(run.federation, reply.number)
    enrolled = run.roster.statistics[reply.site].patients if reply.site in run.roster.statistics else 0
    most = (run.federation.declared_patients or {}).get(reply.site) or max(enrolled, UNDECLARED_PATIENTS)
    if run.federation.privacy is not None:
        if reply.patients != 1:  # a number of patients is no part of an answer
            raise UnusableReplyError(DropReason.FIGURES_IMPLAUSIBLE)
    elif enrolled:
        most = min(most, _most_units(part, run, enrolled))
    if reply.patients > most:
        raise UnusableReplyError(DropReason.FIGURES_IMPLAUSIBLE)
    if set(reply.sums) != set(limits):
        raise UnusableReplyError(DropReason.ARRAY_NAMES)
    most_noise = _most_noise(run, part)
    for name, limit in limits.items():
        array = reply.sums[name]
        if array.dtype != np.float64:
            raise UnusableReplyError(DropReason.ARRAY_DTYPE)
        if array.shape != limit.shape:
            raise UnusableReplyError(DropReason.ARRAY_SHAPE)
        if not np.isfinite(array).all():
            raise UnusableReplyError(DropReason.NOT_FINITE)
        if most_noise is None:
            possible = limit.holds(array, reply.patients)
        else:
            low, high = min(0.0, most * limit.low) - most_noise, most * limit.high + most_noise
            possible = bool(((low <= array) & (array <= high)).all())
        if not possible:
            raise UnusableReplyError(DropReason.FIGURES_IMPLAUSIBLE)
    return SiteSums(reply.patients, {name: reply.sums[name] for name in limits})


def _most_noise(run: RunContext, part: AnyPart) -> float | None:
    """Return the most noise that an honest sum has; None without privacy."""
    privacy = run.federation.privacy
    if privacy is None or not isinstance(part, NoisedPart):
        return None
    multiplier = privacy.explanations_noise_multiplier
    assert multiplier is not None
    return NOISE_TAIL * multiplier * part.bound(run.federation)


def _most_units(part: AnyPart, run: RunContext, training: int) -> int:
    """Return the most units of a part that a hospital with so many training units can have."""
    if part.whose is Whose.TRAINING:
        return training
    settings = run.federation.training
    kept, trained = settings.validation_fraction + settings.calibration_fraction, 1 - settings.test_fraction
    share = settings.test_fraction if part.whose is Whose.TEST else kept
    return ceil(training * share / (trained - kept)) + HELD_OUT_ROOM
