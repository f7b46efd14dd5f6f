"""Checks that every request passes before the cohort is touched."""

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from flwr.app import RecordDict
from torch import nn

from client.ledger.entries import AskedQuestion, Entry
from client.rounds.apart import hear_of_far_columns
from client.rounds.inputs import (
    SCALING,
    keep_weights,
    require_approved_inputs,
    require_no_jump,
    unapproved,
)
from client.rounds.questions import earlier_question
from client.rounds.site import Site
from client.site_folder.places import Home
from client.training.round import Round
from common.agreement.agreement import Agreement
from common.agreement.reach import patients_in_all
from common.errors import Refusal, RefusalCode
from common.families.registry import family_of
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays, digest_of
from common.records import Prepared, Records

log = logging.getLogger("consilium.site")


Handler = Callable[[Site, RecordDict], RecordDict]


def require_approved(site: Site, digest: str) -> None:
    """Refuse a request that names another federation file than the approved one."""
    if digest != site.digest:
        raise Refusal(RefusalCode.FEDERATION_MISMATCH)


def model_request(site: Site, content: RecordDict, last: int) -> ModelRequest:
    """Read a request of the approved federation and of a round from 1 to `last`."""
    request = ModelRequest.from_record(content)
    require_approved(site, request.federation)
    if not 1 <= request.round <= last:
        raise Refusal(RefusalCode.REQUEST_INVALID)
    return request


def take_over(site: Site, request: ModelRequest) -> Prepared:
    """Load a request's weights into the site's model, and return the request's preprocessing.

    What is not trained is loaded as the hospital itself has drawn it.

    Raises:
        Refusal: if the inputs are not of the agreement's form, or not approved.
    """
    preprocessing = requested_preprocessing(request.preprocessing, site.federation)
    hear_of_far_columns(site, request)
    load_weights(site.model, request.weights)
    require_approved_inputs(
        request, site.federation, site.initial, site.untrained, site.model.groups().linear
    )
    load_weights(site.model, request.weights | {name: site.initial[name] for name in site.untrained})
    return preprocessing


def asks_for_round(
    run_id: int, site: Site, kind: Literal["train", "evaluate"], request: ModelRequest
) -> Callable[[Sequence[Entry]], AskedQuestion]:
    """Return what decides on a request with a model, given the ledger's entries.

    It raises a refusal for a question that was asked, a run too many, scaling that changed or that honest sums do not
    give, and weights that jumped.
    """
    question = AskedQuestion(
        run_id=run_id,
        kind=kind,
        round=request.round,
        fold=request.fold,
        scaling=digest_of(request.preprocessing),
        weights=digest_of(request.weights),
    )

    def decide(entries: Sequence[Entry]) -> AskedQuestion:
        folder = Home(site.folder).asked
        is_plain = site.federation.privacy is None
        last = earlier_question(entries, site.digest, question, site.policy.maximum_runs, is_plain)
        if last is None:
            require_honest_scaling(site, request)
        else:
            require_no_jump(request, site.federation, site.initial, last, folder, site.model.groups().linear)
        keep_weights(request, run_id, folder)
        return question

    return decide


def asks_for_statistics(
    run_id: int, site: Site, fold: int, costs: bool
) -> Callable[[Sequence[Entry]], AskedQuestion]:
    """Return what decides on a request for statistics, given the ledger's entries.

    It raises a refusal for a question that was asked, and a run too many.
    """
    question = AskedQuestion(run_id=run_id, kind="statistics", round=0, fold=fold, costs=costs)

    def decide(entries: Sequence[Entry]) -> AskedQuestion:
        earlier_question(entries, site.digest, question, site.policy.maximum_runs, not costs)
        return question

    return decide


def require_honest_scaling(site: Site, request: ModelRequest) -> None:
    """Refuse preprocessing other than the file declares, or than honest sums can give.

    Under privacy no patient has a part in the answer, unless the hospital's exact sums are public anyway.

    Raises:
        Refusal: INPUT_UNAPPROVED.
    """
    federation, family, privacy = site.federation, site.family, site.federation.privacy
    if privacy is not None and privacy.statistics == "declared":
        if digest_of(request.preprocessing) != digest_of(family.packed(family.declared(federation))):
            raise unapproved(SCALING)
        return
    sums = None
    if privacy is None or privacy.statistics == "public":
        training, _ = site.split_records(request.fold)
        sums = family.statistics(training, federation, site.terms.minimum_count)
    prepared = family.unpacked(request.preprocessing)
    if not family.is_plausible(prepared, federation, sums, patients_in_all(federation)):
        raise unapproved(SCALING)


def requested_preprocessing(arrays: Arrays, federation: Agreement) -> Prepared:
    """Read the preprocessing of a request.

    Raises:
        Refusal: if its arrays are not exactly those of the family, or one has a NaN.
    """
    family = family_of(federation)
    shapes = {
        name: array.shape
        for name, array in arrays.items()
        if array.dtype == np.float32 and not np.isnan(array).any()
    }
    if shapes != family.preparation(federation) or len(shapes) != len(arrays):
        raise Refusal(RefusalCode.REQUEST_INVALID)
    return family.unpacked(arrays)


def load_weights(model: nn.Module, weights: Arrays) -> None:
    """Copy the weights of a request into a model, all of them or none.

    Raises:
        Refusal: if they are not exactly this model's, or not finite.
    """
    tensors = {name: torch.from_numpy(array.copy()) for name, array in weights.items()}
    if _forms(tensors) != _forms(model.state_dict()):
        raise Refusal(RefusalCode.REQUEST_INVALID)
    if not all(bool(tensor.isfinite().all()) for tensor in tensors.values()):
        raise Refusal(RefusalCode.REQUEST_INVALID)
    model.load_state_dict(tensors)


def _forms(tensors: Mapping[str, torch.Tensor]) -> dict[str, tuple[torch.Size, torch.dtype]]:
    return {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}


def site_round(site: Site, request: ModelRequest, preprocessing: Prepared) -> Round:
    """Return the round that a request asks for, on the site's device."""
    seed = request.seed * 1_000_003 + request.round
    return Round(site.federation, preprocessing, request.round, seed, site.device)


def round_records(site: Site, request: ModelRequest, preprocessing: Prepared) -> tuple[Records, Records]:
    """(training, validation) records as the model takes them."""
    training, validation = site.split_records(request.fold)
    apply = site.family.apply
    return apply(training, preprocessing), apply(validation, preprocessing)
