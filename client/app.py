"""The hospital's Flower app: statistics, training and evaluation, each a thin step between message and cohort.

Nothing raised here reaches the coordinator: whatever goes wrong becomes a refusal with a code. Whatever is computed
from the cohort and sent is first entered in the hospital's privacy ledger, on the terms of the hospital's own policy.
"""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from traceback import extract_tb

from flwr.app import Context, Message, RecordDict
from flwr.clientapp import ClientApp

from client.error_feedback import encoded_update
from client.home import Home
from client.ledger import Ledger
from client.policy import Terms
from client.privacy import learns, train_privately
from client.secret import SecretRandom
from client.site import Site, open_site
from client.statistics import noised_statistics
from client.training import evaluate, train
from common.accounting import Release
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
    UpdateReply,
)
from common.model import averaging_group, hospitals_behind, patients_behind
from common.preprocessing import Preprocessing, SiteStatistics, site_statistics

app = ClientApp()
log = logging.getLogger("consilium.site")


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
    if digest != site.digest:
        raise Refusal(RefusalCode.FEDERATION_MISMATCH)


def _asked(site: Site, content: RecordDict, last: int) -> ModelRequest:
    """The request, of the approved federation and of a round from 1 to `last`."""
    request = ModelRequest.from_record(content)
    _approved(site, request.federation)
    if not 1 <= request.round <= last:
        raise Refusal(RefusalCode.REQUEST_INVALID)
    return request


def _costs(releases: tuple[Release, ...]) -> bool:
    """Whether any of these tells more each time it is computed; public statistics are the same each time."""
    return any(release.mechanism != "public-statistics" for release in releases)


@contextmanager
def _accounted(site: Site, terms: Terms, round_: int | None) -> Iterator[None]:
    """Reserve what is about to leave in the hospital's ledger, and commit it once it is computed.

    Raises:
        Refusal: if the budget does not cover it, or the ledger is not as it should be.
    """
    releases = terms.statistics_releases() if round_ is None else terms.round_releases()
    run, rounds = site.digest, site.federation.training.rounds
    with Ledger(site.folder) as ledger:
        if round_ is None:
            ledger.require(run, terms.whole_run(rounds), terms.limit)
        if releases and terms.privacy is not None and terms.limit.epsilon is None:
            had = sum(
                each.kind == "reserved" and (each.round is None) == (round_ is None)
                for each in ledger.entries()
                if each.run == run
            )
            # what was approved, where the policy has no limit of its own: statistics once, and each round once
            if had >= (1 if round_ is None else rounds) and _costs(releases):
                raise Refusal(RefusalCode.DECLINED_BUDGET)
        number = ledger.reserve(run, round_, releases, terms.limit) if releases else None
        yield
        if number is not None:
            ledger.commit(number)


def _statistics(site: Site, content: RecordDict) -> RecordDict:
    request = StatisticsRequest.from_record(content)
    _approved(site, request.federation)
    terms = site.terms
    training, _ = site.patients(request.fold)
    with _accounted(site, terms, None):
        sums = _sums(site, terms, training)
    if terms.privacy is not None and terms.limit.delta * len(site.cohort.batch) >= 1:
        log.warning(
            "delta %g is weak for this cohort: it should be well below 1 / patients", terms.limit.delta
        )
    for name, count in sums.withheld.items():
        if count:
            log.info("%s: %d entries withheld, too few patients", name, count)
    return StatisticsReply(
        site=site.cohort.site,
        patients=len(training) if terms.privacy is None else 1,
        moments=dict(sums.moments),
        withheld={name: float(count) for name, count in sums.withheld.items()},
    ).to_record()


def _sums(site: Site, terms: Terms, training: PatientBatch) -> SiteStatistics:
    """The site's sums: exact, with noise, or none where scaling is declared."""
    privacy = terms.privacy
    if privacy is None or privacy.statistics == "public":
        least = site.federation.statistics.model_copy(update={"minimum_count": terms.minimum_count})
        return site_statistics(training, site.federation.model_copy(update={"statistics": least}))
    if privacy.statistics == "declared":
        return SiteStatistics({}, {})
    noise = privacy.statistics_noise_multiplier
    return noised_statistics(training, site.federation, noise, SecretRandom())


def _train(run: int, site: Site, content: RecordDict) -> RecordDict:
    request = _asked(site, content, site.federation.training.rounds)
    terms = site.terms
    preprocessing = _taken_over(site, request)  # before anything is paid for: it looks at no patient
    if terms.privacy is None:
        with _accounted(site, terms, request.round):
            training, validation = _patients(site, request, preprocessing)
            metrics = _validated(site, terms, validation, preprocessing)
            loss = train(
                site.model,
                training,
                site.federation,
                preprocessing.cuts,
                request.round,
                _round_seed(request),
                site.device,
            )
        patients = _enough(patients_behind(training, site.federation), terms)
        return _reply(run, site, request, patients, {"training_loss": loss, **metrics})
    with _accounted(site, terms, request.round):
        training, _ = _patients(site, request, preprocessing)
        train_privately(
            site.model,
            training,
            site.federation,
            terms.privacy,
            preprocessing.cuts,
            request.round,
            site.absent,
            site.device,
        )
    # Neither a loss nor a number of patients leaves: each would be a release of its own.
    return _reply(run, site, request, hospitals_behind(site.federation, site.absent), {})


def _taken_over(site: Site, request: ModelRequest) -> Preprocessing:
    """The request's preprocessing; its weights are the model's from now on."""
    preprocessing = site.preprocessing(request)
    site.load_weights(request)
    return preprocessing


def _patients(
    site: Site, request: ModelRequest, preprocessing: Preprocessing
) -> tuple[PatientBatch, PatientBatch]:
    """Standardised (training, validation) patients."""
    training, validation = site.patients(request.fold)
    return preprocessing.apply(training), preprocessing.apply(validation)


def _validated(
    site: Site, terms: Terms, validation: PatientBatch, preprocessing: Preprocessing
) -> dict[str, float]:
    """Metrics of the site's model; none of fewer patients than the minimum count: a sum over two tells of both."""
    if len(validation) < terms.minimum_count:
        return {}
    least = terms.minimum_count
    return evaluate(site.model, validation, site.federation, preprocessing.cuts, least, site.device)


def _reply(
    run: int, site: Site, request: ModelRequest, patients: dict[str, float], metrics: dict[str, float]
) -> RecordDict:
    """The weights, or their change as the agreement has it travel; last of all, so that it is of a noised update."""
    weights = {
        name: tensor.cpu().numpy().copy() if patients[averaging_group(name)] else request.weights[name]
        for name, tensor in site.model.state_dict().items()
    }
    name, wire = site.cohort.site, site.federation.wire
    if wire.update == "float32":
        reply = TrainReply(
            site=name, round=request.round, weights=weights, patients=patients, metrics=metrics
        )
        return reply.to_record()
    privacy = site.terms.privacy
    trained = {
        each
        for each in weights
        if patients[averaging_group(each)] and (privacy is None or learns(each, privacy, site.absent))
    }
    limit = site.policy.maximum_update_norm
    update = encoded_update(Home(site.folder).residual, run, request, weights, trained, wire, limit)
    return UpdateReply(
        site=name, round=request.round, update=update, patients=patients, metrics=metrics
    ).to_record()


def _round_seed(request: ModelRequest) -> int:
    return request.seed * 1_000_003 + request.round


def _enough(patients: dict[str, int], terms: Terms) -> dict[str, float]:
    """Averaging group -> its patients, 0 below the minimum count: what so few patients trained stays at the site.

    The group of all patients is never below it, or the site would have refused.
    """
    least = terms.minimum_count
    return {group: float(count) if count >= least else 0.0 for group, count in patients.items()}


def _evaluate(site: Site, content: RecordDict) -> RecordDict:
    request = _asked(site, content, site.federation.training.rounds + 1)  # the closing one is after the last
    terms = site.terms
    preprocessing = _taken_over(site, request)
    metrics: dict[str, float] = {}
    if terms.privacy is None:
        with _accounted(site, terms, request.round):
            _, validation = _patients(site, request, preprocessing)
            metrics = _validated(site, terms, validation, preprocessing)
    return EvaluateReply(site=site.cohort.site, round=request.round, metrics=metrics).to_record()


@app.query("statistics")
def statistics(message: Message, context: Context) -> Message:
    """Answer `StatisticsRequest` with the site's sums."""
    return _answer(message, context, _statistics)


@app.train()
def train_round(message: Message, context: Context) -> Message:
    """Answer `ModelRequest` with weights trained at the site."""
    return _answer(message, context, partial(_train, context.run_id))


@app.evaluate()
def evaluate_round(message: Message, context: Context) -> Message:
    """Answer `ModelRequest` with how its model does at the site."""
    return _answer(message, context, _evaluate)
