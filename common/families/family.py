"""The seam between the house and what is trained on: a family of records.

Launcher, gate, ledger, receipts, rounds, aggregation and engines know records as `Records` and ask everything else of a
`Family`. One is chosen by `kind` in the federation file (`common.families.registry`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from common.agreed import Problem
from common.agreement.agreement import Agreement
from common.comparison.quantity import Quantity
from common.errors import GuaranteeError
from common.messages.packing import Arrays
from common.messages.statistics import SiteStatistics
from common.messages.validation import ValidationSums
from common.models.parameter_groups import AveragingWeights, ModelGroups

if TYPE_CHECKING:  # the egress gate asks a family for names and shapes, and is spared torch
    from torch import Tensor

    from common.models.shared import SharedModel
    from common.records import Prepared, Records

Shapes = dict[str, tuple[int, ...]]
"""Name -> shape of an array."""

Ends = dict[str, tuple[NDArray[np.float64], NDArray[np.float64]]]
"""Name -> lowest and highest value [N] of a unit in the sums [3, N] of that name; infinite without a limit."""


class Public(Protocol):
    """Public knowledge of an agreement, read from its public files."""


@dataclass(frozen=True)
class Words:
    """Names of the unit of privacy, as in `1 patient` and `2 patients`."""

    singular: str
    plural: str

    def counted(self, number: int) -> str:
        """Return a number of units in words, such as `1 patient` or `no patients`."""
        return (
            f"{number:,} {self.singular if number == 1 else self.plural}" if number else f"no {self.plural}"
        )


@dataclass(frozen=True)
class Score:
    """A score of the model within a site, as pairs of records that are put in the right order.

    Attributes:
        name: of the task or relation, by which its pairs are reported.
        fewest: the fewest pairs that so many units on either side make; fewer do not leave a site.
        most: the most pairs that so many units make.
    """

    name: str
    fewest: Callable[[int], int]
    most: Callable[[int], int]

    def of_one(self, units: int) -> int:
        """Return the most pairs that one of so many units is in."""
        return self.most(units) - self.most(units - 1)


A = TypeVar("A", bound=Agreement, contravariant=True)
M = TypeVar("M", bound="SharedModel")
R = TypeVar("R", bound="Records")
P = TypeVar("P", bound="Prepared")
G = TypeVar("G", bound=Public)


class Family(Protocol[A, M, R, P, G]):
    """All that is asked of a kind of record, by coordinator and hospital alike.

    Type parameters: the agreement's schema, the model, the records, their preprocessing, and public knowledge.
    """

    def words(self, agreement: A, /) -> Words:
        """Names of the unit of privacy."""
        ...

    def public(self, agreement: A, folder: Path, /) -> G:
        """Public knowledge, from the public files in a folder."""
        ...

    def model(self, agreement: A, public: G, seed: int, /) -> M:
        """The agreement's model, initialised from `seed`."""
        ...

    def sums(self, agreement: A, /) -> Shapes:
        """Names and shapes [3, N] of a site's sums: number, sum and sum of squares over units."""
        ...

    def ends(self, agreement: A, /) -> Ends:
        """Limits of the values behind a site's sums, by the names of `sums`."""
        ...

    def sources(self, agreement: A, /) -> Mapping[str, str]:
        """Tables from which the values behind the sums come, by the names of `sums`."""
        ...

    def quantities(self, agreement: A, /) -> tuple[Quantity, ...]:
        """Quantities among the sums by which hospitals are compared; empty for none."""
        ...

    def noise_of_means(self, agreement: A, /) -> Mapping[str, NDArray[np.float64]]:
        """Deviation [N] that noise gives a mean with one unit behind it, by the names of `sums`.

        Empty where sums are exact.
        """
        ...

    def unit_table(self, agreement: A, /) -> str | None:
        """Table with exactly a row for every unit; None if there is no such table."""
        ...

    def statistics(self, records: R, agreement: A, least: int, /) -> SiteStatistics:
        """A site's exact sums, without those that tell of fewer than `least` units.

        As many lie outside the commonest value, or all share one.
        """
        ...

    def noised_sums(self, agreement: A, /) -> tuple[int, float]:
        """Return how many sums get noise, and the largest norm of a unit among them."""
        ...

    def noised_statistics(
        self, noised: NDArray[np.float64], agreement: A, noise_multiplier: float, /
    ) -> SiteStatistics:
        """Statistics from the noised sums, with the names and shapes of exact ones."""
        ...

    def preparation(self, agreement: A, /) -> Shapes:
        """Names and shapes of the preprocessing that a request carries; all are float32."""
        ...

    def combine(self, sites: Sequence[SiteStatistics], agreement: A, /) -> P:
        """Preprocessing from the sums of all sites.

        Raises:
            InputError: if the sums do not suffice.
        """
        ...

    def declared(self, agreement: A, /) -> P:
        """Preprocessing from the federation file alone."""
        ...

    def is_plausible(self, prepared: P, agreement: A, sums: SiteStatistics | None, units: int, /) -> bool:
        """Whether honest sums can combine to a preprocessing, as seen by one site.

        `sums` are those that the site sent; None where they say nothing exact. All sites have at most so many units.
        """
        ...

    def packed(self, prepared: P, /) -> Arrays:
        """Preprocessing as arrays with the names and shapes of `preparation`."""
        ...

    def unpacked(self, arrays: Arrays, /) -> P:
        """The inverse of `packed`."""
        ...

    def groups(self, agreement: A, parameters: Iterable[str], /) -> ModelGroups:
        """Return averaging groups of the model's parameters.

        They follow from the parameters' names; neither graphs nor weights are needed.
        """
        ...

    def scores(self, agreement: A, /) -> tuple[Score, ...]:
        """Scores that a site reports of a model."""
        ...

    def apply(self, records: R, prepared: P, /) -> R:
        """Records as the model takes them."""
        ...

    def loss(self, model: M, records: R, agreement: A, prepared: P, /) -> Tensor:
        """Training loss per unit [B], each of which depends on no other unit."""
        ...

    def ceiling(self, agreement: A, /) -> float:
        """Largest loss of a unit that counts in the sums of `evaluate`."""
        ...

    def linear_loss(self, model: M, agreement: A, prepared: P, /) -> Callable[[R], Tensor] | None:
        """Return a cheaper loss [B] for training the linear part alone; None without one.

        It equals the whole loss at the model's weights.
        """
        ...

    def evaluate(
        self, outputs: dict[str, Tensor], records: R, agreement: A, prepared: P, least: int, /
    ) -> ValidationSums:
        """Sums over one site's validation records, of the model's named outputs [U, ...] for them.

        Pairs with fewer than `least` units on either side count as none.
        """
        ...

    def behind(self, records: R, groups: ModelGroups, /) -> AveragingWeights:
        """Number of units that train every averaging group."""
        ...

    def probe(self, agreement: A, units: int, /) -> R:
        """Made-up records, on which a loss is tried."""
        ...

    def contradictions(self, agreement: A, /) -> Iterator[Problem]:
        """Settings of an agreement that contradict its `privacy`; none without one."""
        ...

    def malformed(self, agreement: A, folder: Path, /) -> Iterator[Problem]:
        """Public files in a folder that have not the form that they should have."""
        ...

    def idle(self, agreement: A, folder: Path, /) -> Iterator[Problem]:
        """Parts of an agreement and its public files that change nothing."""
        ...


AnyFamily: TypeAlias = "Family[Agreement, SharedModel, Records, Prepared, Public]"
"""A family as whoever does not know its records sees it."""


def refuse(family: AnyFamily, agreement: Agreement) -> None:
    """Refuse an agreement whose settings contradict its `privacy`.

    Raises:
        GuaranteeError: naming the first such setting.
    """
    for problem in family.contradictions(agreement):
        raise GuaranteeError(".".join(map(str, problem.key)), problem.what, problem.remedy)


def sums_of(family: AnyFamily, agreement: Agreement) -> Shapes:
    """Return names and shapes of the sums that a site sends.

    It sends none where the federation file declares preprocessing.
    """
    privacy = agreement.privacy
    if privacy is not None and privacy.statistics == "declared":
        return {}
    return family.sums(agreement)
