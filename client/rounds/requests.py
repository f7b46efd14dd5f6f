"""Checks that every request passes before the cohort is touched."""

import logging
from collections.abc import Callable, Mapping

import numpy as np
import torch
from flwr.app import RecordDict
from torch import nn

from client.rounds.site import Site
from client.training.round import Round
from common.agreement.federation import Federation
from common.errors import Refusal, RefusalCode
from common.messages.exchange import ModelRequest
from common.messages.packing import Arrays
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing, preparation, unpack_preprocessing

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


def take_over(site: Site, request: ModelRequest) -> Preprocessing:
    """Load a request's weights into the site's model, and return the request's preprocessing."""
    preprocessing = requested_preprocessing(request.preprocessing, site.federation)
    load_weights(site.model, request.weights)
    return preprocessing


def requested_preprocessing(arrays: Arrays, federation: Federation) -> Preprocessing:
    """Read the preprocessing of a request.

    Raises:
        Refusal: if it is not for exactly this federation's nodes and hazard intervals, or has a NaN.
    """
    expected = preparation(federation)
    shapes = {
        name: array.shape
        for name, array in arrays.items()
        if array.dtype == np.float32 and not np.isnan(array).any()
    }
    if shapes != expected or len(shapes) != len(arrays):
        raise Refusal(RefusalCode.REQUEST_INVALID)
    return unpack_preprocessing(arrays)


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


def site_round(site: Site, request: ModelRequest, preprocessing: Preprocessing) -> Round:
    """Return the round that a request asks for, on the site's device."""
    seed = request.seed * 1_000_003 + request.round
    return Round(site.federation, preprocessing.cuts, request.round, seed, site.device)


def round_patients(
    site: Site, request: ModelRequest, preprocessing: Preprocessing
) -> tuple[PatientBatch, PatientBatch]:
    """Standardised (training, validation) patients."""
    training, validation = site.patients(request.fold)
    return preprocessing.apply(training), preprocessing.apply(validation)
