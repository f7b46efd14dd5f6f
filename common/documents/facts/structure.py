"""Facts from the structure of ordinary tables in a release: warnings and abstention."""

from dataclasses import asdict
from math import isfinite
from typing import Any

from common.agreement.federation import Federation
from common.documents.facts.fact import Fact
from common.release.members import STRUCTURE
from common.release.release import ModelRelease
from common.structure.content import read_structure
from common.structure.limits import BUDGET, Check, FigureLimit

TITLE = "Warnings and abstention"

_CHECKED = {
    Check.STRUCTURE: "whether values go together as in training",
    Check.AGREEMENT: "whether values of the same columns fit each other",
    Check.SIZE: "size of the values",
    Check.OBSERVED: "share of columns without a value",
    Check.EXTREME: "values at the limit of what is standardised",
}

_SPOILT = {
    Check.STRUCTURE: "tables whose columns are in another order",
    Check.AGREEMENT: "tables of another patient",
    Check.SIZE: "tables in another unit",
}


def abstention_fact(release: ModelRelease) -> Fact:
    """Say what is checked before a forecast is given, and what a check finds.

    Raises:
        InvalidContentError: if the structure is not of the release's federation file.
    """
    content, agreement = release.members.get(STRUCTURE), release.agreement
    if content is None or not isinstance(agreement, Federation):
        return Fact(TITLE)
    limits = read_structure(content, agreement, f"{release.where}, {STRUCTURE}").limits
    lines = [_line(limit) for limit in limits]
    lines.append(
        f"Limits are set such that all checks together warn of {BUDGET:.1%} of ordinary patients; that, and the shares"
        " above, are of fitted distributions, and not counted."
    )
    return Fact(TITLE, tuple(lines), [_data(limit) for limit in limits])


def _line(limit: FigureLimit) -> str:
    spoilt, caught = _SPOILT.get(limit.check), limit.caught
    share = f" (where {caught:.0%} of {spoilt} lie)" if spoilt and isfinite(caught) else ""
    ends = [f"a warning above {limit.look:.3g}{share}"] if isfinite(limit.look) else []
    ends += [f"no forecast above {limit.withheld:.3g}"] if isfinite(limit.withheld) else []
    return f"{' and '.join(limit.modalities)}, {_CHECKED[limit.check]}: {', and '.join(ends) or 'no limit'}."


def _data(limit: FigureLimit) -> dict[str, Any]:
    return {
        name: None if isinstance(value, float) and not isfinite(value) else value
        for name, value in asdict(limit).items()
    }
