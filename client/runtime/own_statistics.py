"""Exact sums of a hospital's tables, computed beside the app and without its cache."""

from client.rounds.assembly import SharedAgreement, SiteSources, assemble_site
from client.site_folder.places import Home
from common.messages.statistics import SiteStatistics


def own_statistics(home: Home, least: int) -> SiteStatistics:
    """Compute the sums over the training units, without those that tell of fewer than `least`.

    Raises:
        InputError: if the tables do not satisfy the federation file.
        Refusal: if there are too few units.
    """
    site = assemble_site(
        SiteSources(folder=home.folder, agreement=home.agreement), SharedAgreement(home.agreement)
    )
    training, _ = site.split_records(-1)
    return site.family.statistics(training, site.federation, least)
