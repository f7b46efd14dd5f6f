"""Spread of a model's figure over hospitals, each judged on its own held-out patients."""

from collections.abc import Mapping
from statistics import stdev

from pydantic import Field

from simulations.results.machine import Record


class HospitalSpread(Record):
    """Worst and best hospital in the headline metric of the federated model, and the spread.

    Attributes:
        hospitals: those with a figure.
        worst, best: their names.
        lowest, highest: figures of the worst and the best.
        sd: sample standard deviation over the hospitals.
    """

    hospitals: int = Field(ge=2)
    worst: str
    best: str
    lowest: float
    highest: float
    sd: float


def spread_over(figures: Mapping[str, float | None]) -> HospitalSpread | None:
    """Summarise hospital -> figure, of which more is better; None for fewer than two figures."""
    defined = {name: figure for name, figure in figures.items() if figure is not None}
    if len(defined) < 2:
        return None
    worst, best = (choose(defined, key=lambda name: defined[name]) for choose in (min, max))
    return HospitalSpread(
        hospitals=len(defined),
        worst=worst,
        best=best,
        lowest=defined[worst],
        highest=defined[best],
        sd=stdev(defined.values()),
    )
