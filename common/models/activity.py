"""Record of which parts of a model take part in its predictions, and of those below a floor."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel, ConfigDict

FEWEST_ACTIVE = 0.5
"""Share of a branch's units below which the branch counts as idle."""

SMALLEST_SHARE = 0.01
"""Share of the risk's variance below which a branch's graph, or the whole network, counts as idle."""

SMALLEST_EDGES = 0.01
"""Share of the risk's variance below which the edges of a branch's graph count as without effect."""

SMALLEST_GRADIENT = 1e-4
"""Norm of a part's gradient, relative to the largest of all parts of the network, below which it cannot learn."""


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class BranchActivity(_Record):
    """Activity of the branch of a modality; None where nobody has the modality.

    Attributes:
        active: share of the branch's units whose values differ between patients.
        share: task -> share of the risk's variance that passes through the branch's nodes and graph; None while all
            patients have the same risk.
        gradient: norm of the training loss's gradient in the branch's weights.
        edges: task -> share of the risk's variance that is missing with the same weights and no edge of the branch's
            graph, between nodes or pathways; the membership of nodes in pathways stays. Empty without edges.
    """

    active: float | None = None
    share: dict[str, float | None] = {}
    gradient: float | None = None
    edges: dict[str, float | None] = {}


class Activity(_Record):
    """Activity of a model's parts for given patients (`common.models.parts.measure_activity`).

    Attributes:
        branches: modality -> activity of its branch.
        network: task -> share of the risk's variance that comes from the network, as against the linear scores.
        gradients: part -> norm of the training loss's gradient in its weights, for parts of the network that are no
            branch.
    """

    branches: dict[str, BranchActivity] = {}
    network: dict[str, float | None] = {}
    gradients: dict[str, float | None] = {}


class Measure(StrEnum):
    """Measures that have a floor."""

    ACTIVE = "active"
    SHARE = "share"
    EDGES = "edges"
    NETWORK = "network"
    GRADIENT = "gradient"


NETWORK = "network"
"""Part that a shortfall of the whole network names."""


@dataclass(frozen=True)
class Shortfall:
    """Figure of a part below its floor.

    Attributes:
        part: modality of a branch, another part of the network, or the whole `network`.
        measure: measured quantity.
        figure: measured share, or norm of a gradient.
    """

    part: str
    measure: Measure
    figure: float

    @property
    def text(self) -> str:
        """Part and figure in words."""
        return f"{self.part}: {_TEXTS[self.measure].format(self.figure)}"


_TEXTS = {
    Measure.ACTIVE: "{:.1%} of its units differ between patients",
    Measure.SHARE: "{:.2%} of the risk's variance passes through its graph",
    Measure.EDGES: "{:.2%} of the risk's variance is missing without the edges of its graph",
    Measure.NETWORK: "{:.2%} of the risk's variance comes from it, the rest from the linear scores",
    Measure.GRADIENT: "the norm of its gradient is {:.1e}",
}


def shortfalls(activity: Activity) -> list[Shortfall]:
    """List the parts below a floor; of a network without any effect the network alone.

    Where there are several tasks, the largest share counts: a part that one task uses is not idle.
    """
    network = _largest(activity.network.values())
    if network is not None and network < SMALLEST_SHARE:
        idle = [Shortfall(NETWORK, Measure.NETWORK, network)]
        return [*idle, *(of for of in _of_branches(activity) if of.measure is Measure.ACTIVE)]
    return [*_of_branches(activity), *_of_gradients(activity)]


def _of_branches(activity: Activity) -> Iterator[Shortfall]:
    for name, branch in activity.branches.items():
        if branch.active is not None and branch.active < FEWEST_ACTIVE:
            yield Shortfall(name, Measure.ACTIVE, branch.active)
        share = _largest(branch.share.values())
        if share is not None and share < SMALLEST_SHARE:
            yield Shortfall(name, Measure.SHARE, share)
            continue  # what no risk passes through has no edges to speak of
        edges = _largest(branch.edges.values())
        if edges is not None and edges < SMALLEST_EDGES:
            yield Shortfall(name, Measure.EDGES, edges)


def _of_gradients(activity: Activity) -> Iterator[Shortfall]:
    norms = {name: branch.gradient for name, branch in activity.branches.items()} | activity.gradients
    largest = _largest(norms.values())
    for name, norm in norms.items():
        if norm is not None and largest is not None and norm <= SMALLEST_GRADIENT * largest:
            yield Shortfall(name, Measure.GRADIENT, norm)


def _largest(figures: Iterable[float | None]) -> float | None:
    return max((figure for figure in figures if figure is not None), default=None)
