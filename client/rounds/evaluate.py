"""Answer to an evaluation request: sums of the model's loss over validation records."""

from flwr.app import RecordDict

from client.rounds.accounts import accounted
from client.rounds.requests import asks_for_round, model_request, round_records, site_round, take_over
from client.rounds.site import Site
from client.site_folder.policy import Terms
from client.training.evaluation import evaluate
from client.training.round import Round
from common.messages.exchange import EvaluateReply
from common.records import Records


def validation_metrics(site: Site, terms: Terms, validation: Records, round_: Round) -> dict[str, float]:
    """Return the sums of the site's model; none of too few units.

    A sum over two units tells of both.
    """
    if len(validation) < terms.minimum_count:
        return {}
    return evaluate(site.model, validation, round_, terms.minimum_count).named()


def evaluate_request(run: int, site: Site, content: RecordDict) -> RecordDict:
    """Answer an evaluation request with sums over validation records."""
    request = model_request(
        site, content, site.federation.training.rounds + 1
    )  # the closing one is after the last
    terms = site.terms
    preprocessing = take_over(site, request)
    metrics: dict[str, float] = {}
    if terms.privacy is None:
        with accounted(site, terms, request.round, asks_for_round(run, site, "evaluate", request)):
            _, validation = round_records(site, request, preprocessing)
            metrics = validation_metrics(site, terms, validation, site_round(site, request, preprocessing))
    return EvaluateReply(site=site.cohort.site, round=request.round, metrics=metrics).to_record()
