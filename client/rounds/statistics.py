"""Answer to a statistics request: sums over training records."""

from flwr.app import RecordDict
from torch import Tensor

from client.families.registry import reader_of
from client.privacy.noise import NoisedSums
from client.rounds.accounts import accounted
from client.rounds.exact import exact_statistics
from client.rounds.requests import asks_for_statistics, log, require_approved
from client.rounds.site import Site
from common.agreement.privacy_settings import Privacy
from common.counting import counted
from common.messages.exchange import StatisticsReply, StatisticsRequest
from common.messages.statistics import SiteStatistics


def statistics_request(run: int, site: Site, content: RecordDict) -> RecordDict:
    """Answer a statistics request with sums over training records."""
    request = StatisticsRequest.from_record(content)
    require_approved(site, request.federation)
    terms = site.terms
    privacy = terms.privacy
    training = site.split_indices(request.fold).training
    costs = privacy is not None and privacy.statistics == "noised"
    decide = asks_for_statistics(run, site, request.fold, costs)
    if privacy is None or privacy.statistics == "public":
        # before the ledger is asked: what is refused here must not count as released there
        exact = exact_statistics(site, terms, request.fold)
        with accounted(site, terms, None, decide):
            sums = exact
    else:
        with accounted(site, terms, None, decide):
            sums = _sums(site, privacy, training)
    if privacy is not None and terms.limit.delta * len(site.cohort.records) >= 1:
        log.warning(
            "delta %g is weak for this cohort: it should be well below 1 / %s",
            terms.limit.delta,
            site.family.words(site.federation).plural,
        )
    for name, count in sums.withheld.items():
        if count:
            log.info("%s: withheld for too few records behind them: %s", name, counted(count, "statistic"))
    return StatisticsReply(
        site=site.cohort.site,
        patients=len(training) if privacy is None else 1,
        moments=dict(sums.moments),
        withheld={name: float(count) for name, count in sums.withheld.items()},
    ).to_record()


def _sums(site: Site, privacy: Privacy, training: Tensor) -> SiteStatistics:
    """The site's sums: with noise, or none where scaling is declared."""
    if privacy.statistics == "declared":
        return SiteStatistics({}, {})
    noise, records = privacy.statistics_noise_multiplier, site.cohort.records.select(training)
    exact = reader_of(site.federation).bounded_sums(records, site.federation)
    adding = site.gate_noise or NoisedSums(*site.family.noised_sums(site.federation), noise)
    return site.family.noised_statistics(adding.take(exact), site.federation, noise)
