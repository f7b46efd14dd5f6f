"""Answer to a question of an assessment: sums about a trained model."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from flwr.app import RecordDict
from numpy.typing import NDArray

from client.disclosures.disclosure import Disclosure
from client.disclosures.record import release_once
from client.ledger.entries import AskedQuestion, Entry
from client.privacy.noise import NoisedSums
from client.rounds.accounts import accounted
from client.rounds.exact import require_disclosed, require_set_aside_disclosed
from client.rounds.inputs import SENT, unapproved
from client.rounds.kept_model import keep_model
from client.rounds.questions import earlier_question, was_sent
from client.rounds.requests import load_weights, requested_preprocessing, require_approved
from client.rounds.site import Site
from client.training.evaluation import logits
from common.agreement.privacy_settings import Privacy
from common.assessment.part import (
    AnyPart,
    Arrays,
    NoisedPart,
    flat_size,
    place_of,
    questions_of,
    unflattened,
)
from common.assessment.view import View
from common.errors import Refusal, RefusalCode
from common.messages.exchange import AssessmentReply, AssessmentRequest
from common.messages.packing import digest_of
from common.prediction.network import Network


def assessment_request(run: int, site: Site, content: RecordDict) -> RecordDict:
    """Answer a question of an assessment."""
    request = AssessmentRequest.from_record(content)
    require_approved(site, request.federation)
    part = _part(site, request)
    terms = site.terms
    if not site.policy.assessment:
        raise Refusal(RefusalCode.DECLINED_STATISTICS)
    preprocessing = requested_preprocessing(request.preprocessing, site.federation)
    load_weights(site.model, request.weights)
    site.model.eval()
    split = site.split_indices(request.fold)
    if terms.privacy is None:
        indices = split.of(part.whose)
        require_disclosed(site, terms, request.fold)
    else:
        indices = split.training
    with accounted(site, terms, request.round, _asks(run, site, request), assessment=True):
        if not site.simulated:
            keep_model(site, run, request)
        weights = {name: np.asarray(array, dtype=np.float32) for name, array in request.weights.items()}
        network = Network(site.federation, preprocessing, weights, site.model, None, site.public)
        view: View[Any, Any, Any] = View(
            network,
            site.cohort.records.select(indices),
            terms.minimum_count,
            lambda model, some: logits(model, some, device=site.device),
            np.isin(indices.numpy(), split.calibration.numpy()) if len(split.calibration) else None,
        )
        if terms.privacy is not None:
            sums, patients = _noised(site, part, view, terms.privacy), 1
        else:
            sums, patients = _exact(site, part, view, request), len(indices)
            require_set_aside_disclosed(site, terms, request.fold)
            if not site.simulated:
                _record(site, request, indices.numpy(), sums, terms.minimum_count)
    return AssessmentReply(
        site=site.cohort.site, part=request.part, number=request.number, patients=patients, sums=dict(sums)
    ).to_record()


def _exact(site: Site, part: AnyPart, view: View[Any, Any, Any], request: AssessmentRequest) -> Arrays:
    """Sums over enough records, or zeros."""
    if len(view.patients) >= view.least:
        return part.computed(view, request.asked, request.number)
    return {name: np.zeros(limit.shape) for name, limit in part.sums(site.federation, request.number).items()}


def _noised(site: Site, part: AnyPart, view: View[Any, Any, Any], privacy: Privacy) -> Arrays:
    """Sums over all records, to which the gate adds noise; a simulated hospital adds it here."""
    noise = privacy.explanations_noise_multiplier
    assert isinstance(part, NoisedPart)
    assert noise is not None
    size, bound = flat_size(part, site.federation), part.bound(site.federation)
    adding = site.gate_noise or NoisedSums(size, bound, noise)
    return unflattened(part, site.federation, adding.take(part.bounded(view)))


def _part(site: Site, request: AssessmentRequest) -> AnyPart:
    """Return the part of a question that the agreement has, with arrays as it asks for."""
    for part, number in questions_of(site.federation):
        if (part.name, number) == (request.part, request.number):
            asked = part.asked(site.federation, number)
            if asked.keys() == request.asked.keys() and all(
                limit.fits(request.asked[name]) for name, limit in asked.items()
            ):
                return part
    raise Refusal(RefusalCode.REQUEST_INVALID)


def _asks(run: int, site: Site, request: AssessmentRequest) -> Callable[[Sequence[Entry]], AskedQuestion]:
    """Return what decides on a question, given the ledger's entries.

    It raises a refusal for a question that was asked, and for weights that the run has not sent before.
    """
    question = AskedQuestion(
        run_id=run,
        kind="assessment",
        round=place_of(site.federation, request.part, request.number),
        fold=request.fold,
        scaling=digest_of(request.preprocessing),
        weights=digest_of(request.weights),
    )

    def decide(entries: Sequence[Entry]) -> AskedQuestion:
        earlier_question(entries, site.digest, question, site.policy.maximum_runs)
        # under privacy the bound holds for any weights, and a run keeps a mean that it never sent
        if site.terms.privacy is None and not was_sent(entries, site.digest, run, question.weights):
            raise unapproved(SENT)
        return question

    return decide


def _record(
    site: Site,
    request: AssessmentRequest,
    units: NDArray[np.int64],
    sums: Arrays,
    least: int,
) -> None:
    """Enter who is behind the sums in the record of the site folder.

    The same question about a set that differs by few patients is refused. Its number is the count, and a sum over all
    sums, by which a value that changed shows.

    Raises:
        Refusal: if together with what left before they would tell of few units.
    """
    if not len(units):
        return
    question = digest_of({**request.weights, **request.preprocessing, **request.asked})
    total = float(sum(array.sum() for array in sums.values()))
    squares = float(sum(np.square(array).sum() for array in sums.values()))
    marks = site.cohort.marks[units].numpy()
    new = Disclosure(
        least,
        (f"assessment {request.part} {request.number} {question[:32]}",),
        ("sums",),
        tuple(mark.tobytes() for mark in marks),
        np.ones((len(units), 1), dtype=np.uint8),
        np.array([[len(units)], [total], [squares]], dtype=np.float64),
    )
    release_once(site.folder, new, site.digest, site.key)
