"""Protocol of a family of records at a hospital: tables, passport and words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol, TypeVar

from torch import Tensor

from client.site_folder.site_file import SiteFile
from common.agreement.agreement import Agreement
from common.errors import InputError
from common.families.family import Records


class Holding(Protocol):
    """Records of a site, without identifiers.

    Attributes:
        site: the site's name.
        fold: [U] long, the fold in which a unit is held out; -1 where none is given.
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


A = TypeVar("A", bound=Agreement, contravariant=True)
H = TypeVar("H", bound=Holding)


class Reader(Protocol[A, H]):
    """A family at a hospital. Type parameters: the agreement's schema, and what a site holds."""

    def read(self, folder: Path, site: SiteFile, agreement: A, /) -> tuple[H | None, list[InputError]]:
        """Read a site folder's tables, with problems that name no value; None if unreadable."""
        ...

    def passport(self, holding: H, agreement: A, /) -> dict[str, Any]:
        """Counts of a hospital's data, `site` and `patients` among them; no value of a record."""
        ...

    def passport_lines(self, passport: dict[str, Any], /) -> list[str]:
        """A passport as lines."""
        ...

    def said(self, agreement: A, file: Path, /) -> Iterator[str]:
        """Lines of an approval on what is read and computed under the agreement in `file`."""
        ...


AnyReader = Reader[Agreement, Holding]
"""A reader as whoever does not know its records sees it."""
