"""Checks that every request passes before the cohort is touched."""

import logging
from collections.abc import Callable

from flwr.app import RecordDict

from client.rounds.site import Site
from common.errors import Refusal, RefusalCode
from common.messages.exchange import (
    ModelRequest,
)
from common.patients.batch import PatientBatch
from common.patients.preprocessing import Preprocessing

log = logging.getLogger("consilium.site")


Handler = Callable[[Site, RecordDict], RecordDict]


def require_approved(site: Site, digest: str) -> None:
    """Refuse a request that names another federation file than the approved one."""
    if digest != site.digest:
        raise Refusal(RefusalCode.FEDERATION_MISMATCH)


def model_request(site: Site, content: RecordDict, last: int) -> ModelRequest:
    """The request, of the approved federation and of a round from 1 to `last`."""
    request = ModelRequest.from_record(content)
    require_approved(site, request.federation)
    if not 1 <= request.round <= last:
        raise Refusal(RefusalCode.REQUEST_INVALID)
    return request


def take_over(site: Site, request: ModelRequest) -> Preprocessing:
    """The request's preprocessing; its weights are the model's from now on."""
    preprocessing = site.preprocessing(request)
    site.load_weights(request)
    return preprocessing


def round_patients(
    site: Site, request: ModelRequest, preprocessing: Preprocessing
) -> tuple[PatientBatch, PatientBatch]:
    """Standardised (training, validation) patients."""
    training, validation = site.patients(request.fold)
    return preprocessing.apply(training), preprocessing.apply(validation)
