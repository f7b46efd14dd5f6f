"""Protocol of a family of records at a hospital: tables, passport and words."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from client.families.cells import Cells
from client.site_folder.site_file import SiteFile
from common.agreement.agreement import Agreement
from common.errors import InputError
from common.families.family import Public
from common.models.parameter_groups import ModelGroups
from common.records import Records


class Holding(Protocol):
    """Records of a site, without identifiers.

    Attributes:
        site: the site's name.
        fold: [U] long, the fold in which a unit is held out; -1 where none is given.
        marks: [U, 16] uint8, keyed hashes of the units' identifiers (`client.site_folder.site_key`).
    """

    @property
    def site(self) -> str:
        """Name of the site."""
        ...

    @property
    def records(self) -> Records:
        """All records, on the CPU."""
        ...

    @property
    def fold(self) -> Tensor:
        """[U] long, the fold in which a unit is held out; -1 where none is given."""
        ...

    @property
    def marks(self) -> Tensor:
        """[U, 16] uint8, keyed hashes of the units' identifiers."""
        ...


S = TypeVar("S", bound=Holding)


def sound(read: tuple[S | None, list[InputError]]) -> S:
    """Return the holding of a site folder that was read without a problem.

    Raises:
        InputError: the first problem; nothing is returned by half.
    """
    holding, problems = read
    if problems:
        raise problems[0]
    assert holding is not None
    return holding


A = TypeVar("A", bound=Agreement, contravariant=True)
H = TypeVar("H", bound=Holding)
R = TypeVar("R", bound=Records, contravariant=True)
G = TypeVar("G", bound=Public)


class Reader(Protocol[A, H, R, G]):
    """A family at a hospital.

    Type parameters: the agreement's schema, what a site holds, the records in it, and public knowledge.
    """

    def read(self, folder: Path, site: SiteFile, agreement: A, /) -> tuple[H | None, list[InputError]]:
        """Read a site folder's tables, with problems that name no value; None if unreadable."""
        ...

    def joined(self, holdings: Sequence[H], site: SiteFile, units: Tensor, fold: Tensor, /) -> H:
        """Join holdings of one agreement, as a site that a simulation plays.

        Args:
            holdings: whose units follow one another.
            site: file of the site that has them all.
            units: [K] long, indices of the units that are kept, in order.
            fold: [K] long, their folds, in place of those of the holdings.
        """
        ...

    def absent(self, holding: H, agreement: A, /) -> frozenset[str]:
        """Parts of the records that the site has no table of: it has no say in their parameters."""
        ...

    def source(self, holding: H, table: str, column: str, /) -> str:
        """Hospital's own names of a table and a column; of the table alone without a column."""
        ...

    def bounded_sums(self, records: R, agreement: A, /) -> NDArray[np.float64]:
        """Return the site's exact sums, which get noise as `Family.noised_sums` says."""
        ...

    def cells(self, holding: H, agreement: A, groups: ModelGroups, /) -> Sequence[Cells]:
        """Return every exact number that can leave, with the units behind it."""
        ...

    def pack(self, public: G, holding: H, /) -> dict[str, Tensor]:
        """Public knowledge and holding as named tensors, for the cache; no identifier is among them."""
        ...

    def unpack(self, tensors: dict[str, Tensor], site: SiteFile, agreement: A, /) -> tuple[G, H]:
        """The inverse of `pack`.

        Raises:
            KeyError, TypeError, ValueError, RuntimeError: if the tensors are of another agreement.
        """
        ...

    def passport(self, holding: H, agreement: A, /) -> dict[str, Any]:
        """Counts of a hospital's data, `site` among them; no value of a record."""
        ...

    def passport_lines(self, passport: dict[str, Any], /) -> list[str]:
        """A passport as lines."""
        ...

    def said(self, agreement: A, file: Path, /) -> Iterator[str]:
        """Lines of an approval on what is read and computed under the agreement in `file`."""
        ...


AnyReader = Reader[Agreement, Holding, Records, Public]
"""A reader as whoever does not know its records sees it."""
