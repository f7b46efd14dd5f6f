"""Answer to an evaluation request: sums of the model's loss over validation records."""

from flwr.app import RecordDict

from client.disclosures.losses import LossRelease, question_of
from client.rounds.accounts import accounted
from client.rounds.exact import require_disclosed
from client.rounds.requests import asks_for_round, model_request, round_records, site_round, take_over
from client.rounds.site import Site
from client.site_folder.policy import Terms
from client.training.evaluation import evaluate
from client.training.round import Round
from common.messages.exchange import EvaluateReply, ModelRequest
from common.records import Records


def loss_release(site: Site, terms: Terms, request: ModelRequest) -> LossRelease:
    """Return the noise that the losses of an answer leave with."""
    ceiling, scores = site.family.ceiling(site.federation), site.family.scores(site.federation)
    return LossRelease(site.key, question_of(request), terms.loss_noise, ceiling, scores, terms.minimum_count)


def validation_metrics(
    site: Site, terms: Terms, validation: Records, round_: Round, release: LossRelease
) -> dict[str, float]:
    """Return the sums of the site's model as they leave; none of too few units.

    A sum over two units tells of both. Pairs of few are left out only if they are exact: whether they are left out
    would itself be a number without noise.
    """
    if len(validation) < terms.minimum_count:
        return {}
    least = terms.minimum_count if release.noise == 0 else 0
    return release.validation(evaluate(site.model, validation, round_, least)).named()


def evaluate_request(run: int, site: Site, content: RecordDict) -> RecordDict:
    """Answer an evaluation request with sums over validation records."""
    request = model_request(
        site, content, site.federation.training.rounds + 1
    )  # the closing one is after the last
    terms = site.terms
    preprocessing = take_over(site, request)
    metrics: dict[str, float] = {}
    if terms.privacy is None:
        require_disclosed(site, terms, request.fold)
        with accounted(site, terms, request.round, asks_for_round(run, site, "evaluate", request)):
            _, validation = round_records(site, request, preprocessing)
            round_, release = site_round(site, request, preprocessing), loss_release(site, terms, request)
            metrics = validation_metrics(site, terms, validation, round_, release)
    return EvaluateReply(site=site.cohort.site, round=request.round, metrics=metrics).to_record()
