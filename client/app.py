"""The hospital's Flower app: statistics, training and evaluation, each a thin step between message and cohort.

Nothing raised here reaches the coordinator: whatever goes wrong becomes a refusal with a code.
"""

import logging
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from traceback import extract_tb

import numpy as np
import torch
from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from client.cohort import Cohort, read_cohort
from client.training import evaluate, split, train
from common.batch import PatientBatch
from common.errors import InputError, Refusal, RefusalCode
from common.exchange import (
    EvaluateReply,
    InvalidMessageError,
    ModelRequest,
    RefusalReply,
    StatisticsReply,
    StatisticsRequest,
    TrainReply,
    unpack_preprocessing,
)
from common.federation import Federation, load
from common.model import HierarchicalMultimodalGNN, averaging_group, build_model, patients_behind
from common.preprocessing import Preprocessing, site_statistics

app = ClientApp()
log = logging.getLogger("consilium.site")


class Site:
    """A hospital's cohort under a federation file, read once per process.

    Args:
        folder: the site folder.
        agreement: the hospital's own copy of the federation file, its public files beside it.
    """

    def __init__(self, folder: Path, agreement: Path) -> None:
        self.federation, self.model = _agreement(agreement, agreement.stat().st_mtime_ns)
        self.cohort: Cohort = read_cohort(folder, self.federation)

    def patients(self, fold: int) -> tuple[PatientBatch, PatientBatch]:
        """(training, validation) patients: neither of the held-out `fold`.

        The split follows the agreement alone. If a request could choose it, the sums over many different splits would
        give away every patient's values.

        Raises:
            Refusal: if there are too few to train on, or fewer than the federation's minimum count.
        """
        mine = (self.cohort.fold != fold) | (self.cohort.fold < 0)
        batch = self.cohort.batch.select(mine)
        if len(batch) < 2:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        training, validation = split(
            len(batch), self.federation.training.validation_fraction, self.federation.training.seed
        )
        if len(training) < self.federation.statistics.minimum_count:
            raise Refusal(RefusalCode.NO_TRAINING_PATIENTS)
        return batch.select(training), batch.select(validation)

    def preprocessing(self, request: ModelRequest) -> Preprocessing:
        """The request's preprocessing.

        Raises:
            Refusal: if it is not for exactly this federation's nodes and hazard intervals.
        """
        sizes = {modality.name: len(modality.nodes) for modality in self.federation.modalities}
        expected = {
            f"{kind}:{name}": (size,) for kind in ("center", "spread") for name, size in sizes.items()
        }
        expected |= {f"cuts:{task.name}": (task.bins,) for task in self.federation.survival_tasks()}
        given = {
            name: array.shape for name, array in request.preprocessing.items() if array.dtype == np.float32
        }
        if given != expected or len(given) != len(request.preprocessing):
            raise Refusal(RefusalCode.REQUEST_INVALID)
        return unpack_preprocessing(request.preprocessing)

    def load_weights(self, request: ModelRequest) -> None:
        """Take over the request's weights.

        Raises:
            Refusal: if they are not exactly this model's.
        """
        own = self.model.state_dict()
        given = {name: torch.from_numpy(array.copy()) for name, array in request.weights.items()}
        if {n: (t.shape, t.dtype) for n, t in own.items()} != {
            n: (t.shape, t.dtype) for n, t in given.items()
        }:
            raise Refusal(RefusalCode.REQUEST_INVALID)
        self.model.load_state_dict(given)


@lru_cache(maxsize=2)
def _agreement(path: Path, changed: int) -> tuple[Federation, HierarchicalMultimodalGNN]:
    """The federation and its model, shared by the sites of a process: each message brings all weights anew."""
    federation = load(path)
    return federation, build_model(federation, path.parent, seed=0)


@lru_cache(maxsize=64)
def _open(folder: str, agreement: str, changed: tuple[int, ...]) -> Site:
    """The site as long as neither its folder's files nor the federation file change."""
    return Site(Path(folder), Path(agreement))


def open_site(context: Context) -> Site:
    """The site this node speaks for, from its node configuration (`site`, `federation`).

    Raises:
        Refusal: if its tables do not satisfy the federation file.
    """
    folder, agreement = str(context.node_config["site"]), str(context.node_config["federation"])
    try:
        files = sorted(path for path in Path(folder).iterdir() if path.is_file())
        changed = tuple(path.stat().st_mtime_ns for path in (*files, Path(agreement)))
        return _open(folder, agreement, changed)
    except (InputError, OSError) as error:
        raise Refusal(RefusalCode.COHORT_INVALID) from error


Handler = Callable[[Site, RecordDict], RecordDict]


def _answer(message: Message, context: Context, handler: Handler) -> Message:
    name = ""
    try:
        site = open_site(context)
        name = site.cohort.site
        return Message(handler(site, message.content), reply_to=message)
    except Refusal as refusal:
        code, cause = refusal.code, refusal.__cause__
    except InvalidMessageError as error:
        code, cause = RefusalCode.REQUEST_INVALID, error
    except Exception as error:
        code, cause = RefusalCode.INTERNAL, error
    if cause is None:
        log.info("refused: %s", code)
    else:
        log.warning("refused: %s (%s)", code, _told(cause))
    return Message(RefusalReply(site=name, code=code).to_record(), reply_to=message)


def _told(cause: BaseException) -> str:
    """What the site's own log says of a cause: a sentence without values, or what kind of error and where it arose."""
    if isinstance(cause, InputError):
        return str(cause)
    frames = extract_tb(cause.__traceback__)
    return type(cause).__name__ + (
        f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""
    )


def _approved(site: Site, digest: str) -> None:
    if digest != site.federation.digest:
        raise Refusal(RefusalCode.FEDERATION_MISMATCH)


def _statistics(site: Site, content: RecordDict) -> RecordDict:
    request = StatisticsRequest.from_record(content)
    _approved(site, request.federation)
    training, _ = site.patients(request.fold)
    sums = site_statistics(training, site.federation)
    for name, count in sums.withheld.items():
        if count:
            log.info("%s: %d entries withheld, too few patients", name, count)
    return StatisticsReply(
        site=site.cohort.site,
        patients=len(training),
        moments=dict(sums.moments),
        withheld={name: float(count) for name, count in sums.withheld.items()},
    ).to_record()


def _evaluated(
    site: Site, request: ModelRequest
) -> tuple[PatientBatch, dict[str, torch.Tensor], dict[str, float]]:
    """(standardised training patients, hazard cuts, metrics of the incoming model on validation patients).

    Below the minimum count of validation patients there are no metrics: a sum over two patients tells of both.
    """
    _approved(site, request.federation)
    preprocessing = site.preprocessing(request)
    training, validation = (preprocessing.apply(part) for part in site.patients(request.fold))
    site.load_weights(request)
    metrics = {}
    if len(validation) >= site.federation.statistics.minimum_count:
        metrics = evaluate(site.model, validation, site.federation, preprocessing.cuts)
    return training, preprocessing.cuts, metrics


def _train(site: Site, content: RecordDict) -> RecordDict:
    request = ModelRequest.from_record(content)
    training, cuts, metrics = _evaluated(site, request)
    loss = train(site.model, training, site.federation, cuts, request.round, _round_seed(request))
    patients = _enough(patients_behind(training, site.federation), site.federation)
    weights = {
        name: tensor.numpy().copy() if patients[averaging_group(name)] else request.weights[name]
        for name, tensor in site.model.state_dict().items()
    }
    return TrainReply(
        site=site.cohort.site,
        round=request.round,
        weights=weights,
        patients=patients,
        metrics={"training_loss": loss, **metrics},
    ).to_record()


def _round_seed(request: ModelRequest) -> int:
    return request.seed * 1_000_003 + request.round


def _enough(patients: dict[str, int], federation: Federation) -> dict[str, float]:
    """Averaging group -> its patients, 0 below the minimum count: what so few patients trained stays at the site.

    The group of all patients is never below it, or the site would have refused.
    """
    least = federation.statistics.minimum_count
    return {group: float(count) if count >= least else 0.0 for group, count in patients.items()}


def _evaluate(site: Site, content: RecordDict) -> RecordDict:
    request = ModelRequest.from_record(content)
    _, _, metrics = _evaluated(site, request)
    return EvaluateReply(site=site.cohort.site, round=request.round, metrics=metrics).to_record()


@app.query("statistics")
def statistics(message: Message, context: Context) -> Message:
    """Answer `StatisticsRequest` with the site's sums."""
    return _answer(message, context, _statistics)


@app.train()
def train_round(message: Message, context: Context) -> Message:
    """Answer `ModelRequest` with weights trained at the site."""
    return _answer(message, context, _train)


@app.evaluate()
def evaluate_round(message: Message, context: Context) -> Message:
    """Answer `ModelRequest` with how its model does at the site."""
    return _answer(message, context, _evaluate)
