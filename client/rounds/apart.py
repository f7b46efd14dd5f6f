"""Columns far from other hospitals', named by a request, in the words of the hospital."""

import logging
from collections.abc import Sequence

from client.families.registry import reader_of
from client.rounds.site import Site
from client.site_folder.apart import note_far
from client.site_folder.places import Home
from common.errors import Refusal, RefusalCode
from common.messages.exchange import ModelRequest

log = logging.getLogger("consilium.site")


def hear_of_far_columns(site: Site, request: ModelRequest) -> None:
    """Note and log which columns a request says lie far from the other hospitals'.

    A request names them by number, so that no word of it reaches the log.

    Raises:
        Refusal: REQUEST_INVALID if it names a quantity that the agreement has not.
    """
    columns = named(site, request.far)
    if site.simulated:  # the journal has it, for all hospitals
        return
    if note_far(Home(site.folder), site.digest, columns) and columns:
        log.warning(
            "far from the other hospitals, by the sums of this run: %s; check the unit with `consilium site profile`",
            "; ".join(columns),
        )


def named(site: Site, numbers: Sequence[int]) -> tuple[str, ...]:
    """Name quantities by the hospital's own tables and columns."""
    quantities = site.family.quantities(site.federation)
    if any(number >= len(quantities) for number in numbers) or len(set(numbers)) < len(numbers):
        raise Refusal(RefusalCode.REQUEST_INVALID)
    names = []
    for quantity in (quantities[number] for number in numbers):
        name = reader_of(site.federation).source(site.cohort, quantity.table, quantity.column)
        names.append(f"{name} ({quantity.what})" if quantity.what else name)
    return tuple(names)
