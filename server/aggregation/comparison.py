"""Comparison of the hospitals of a run by their statistics (`common.comparison`)."""

from collections.abc import Mapping

from common.agreement.agreement import Agreement
from common.comparison.hospitals import differences
from common.families.registry import family_of
from common.messages.exchange import MOST_FAR
from common.messages.statistics import SiteStatistics
from common.units.mistakes import hint
from server.records.apart import Apart


def compare(sites: Mapping[str, SiteStatistics], federation: Agreement) -> tuple[Apart, ...]:
    """Return quantities of which hospitals lie far from others; none where no sums leave them."""
    family = family_of(federation)
    quantities = family.quantities(federation)
    moments = {site: sums.moments for site, sums in sites.items()}
    apart: dict[tuple[str, str, tuple[str, ...]], Apart] = {}
    for difference in differences(moments, quantities, family.noise_of_means(federation))[:MOST_FAR]:
        quantity = quantities[difference.index]
        # the events and the follow-up of one column are one finding
        apart.setdefault(
            (quantity.table, quantity.column, difference.sites),
            Apart(
                quantity=difference.index,
                table=quantity.table,
                column=quantity.column,
                what=quantity.what,
                sites=difference.sites,
                times=float(f"{difference.ratio:.2g}"),
                hint=hint(difference.ratio, quantity.unit, quantity.column),
            ),
        )
    return tuple(apart.values())
