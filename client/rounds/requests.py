"""Checks that every request passes before the cohort is touched."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch
from flwr.app import RecordDict
from torch import nn

from client.rounds.site import Site
from client.training.round import Round
from common.agreement.agreement import Agreement
from common.errors import Refusal, RefusalCode
from common.families.registry import family_of
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays
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
    """Load a request's weights into the site's model, and return the request's preprocessing."""
    preprocessing = requested_preprocessing(request.preprocessing, site.federation)
    load_weights(site.model, request.weights)
    return preprocessing


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
