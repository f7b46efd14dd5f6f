"""Answer to a statistics request: sums over training records."""

from flwr.app import RecordDict

from client.families.registry import reader_of
from client.privacy.randomness import SecretRandom
from client.rounds.accounts import accounted
from client.rounds.requests import asks_for_statistics, log, require_approved
from client.rounds.site import Site
from client.site_folder.policy import Terms
from common.messages.exchange import StatisticsReply, StatisticsRequest
from common.messages.statistics import SiteStatistics
from common.records import Records


def statistics_request(run: int, site: Site, content: RecordDict) -> RecordDict:
    """Answer a statistics request with sums over training records."""
    request = StatisticsRequest.from_record(content)
    require_approved(site, request.federation)
    terms = site.terms
    training, _ = site.split_records(request.fold)
    costs = terms.privacy is not None and terms.privacy.statistics == "noised"
    with accounted(site, terms, None, asks_for_statistics(run, site, request.fold, costs)):
        sums = _sums(site, terms, training)
    if terms.privacy is not None and terms.limit.delta * len(site.cohort.records) >= 1:
        log.warning(
            "delta %g is weak for this cohort: it should be well below 1 / %s",
            terms.limit.delta,
            site.family.words(site.federation).plural,
        )
    for name, count in sums.withheld.items():
        if count:
            log.info("%s: %d statistics are withheld, because too few records are behind them", name, count)
    return StatisticsReply(
        site=site.cohort.site,
        patients=len(training) if terms.privacy is None else 1,
        moments=dict(sums.moments),
        withheld={name: float(count) for name, count in sums.withheld.items()},
    ).to_record()


def _sums(site: Site, terms: Terms, training: Records) -> SiteStatistics:
    """The site's sums: exact, with noise, or none where scaling is declared."""
    privacy = terms.privacy
    if privacy is None or privacy.statistics == "public":
        return site.family.statistics(training, site.federation, terms.minimum_count)
    if privacy.statistics == "declared":
        return SiteStatistics({}, {})
    noise = privacy.statistics_noise_multiplier
    return reader_of(site.federation).noised_statistics(training, site.federation, noise, SecretRandom())
