"""Protocol of the examination of a site folder's tables, and its outcome."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeVar

from client.intake.taking import Taken
from client.site_folder.site_file import SiteFile
from common.agreement.agreement import Agreement
from common.errors import InputError


@dataclass(frozen=True)
class ExaminedTable:
    """Table after intake, with rules that would help.

    Attributes:
        table: its name in the federation file.
        path: its file.
        taken: the table.
        proposed: rules for `[intake.TABLE]`.
    """

    table: str
    path: Path
    taken: Taken
    proposed: dict[str, Any]


@dataclass(frozen=True)
class Examined:
    """Tables of a site folder after intake.

    Attributes:
        tables: in the order of the federation file.
        problems: everything that keeps them from being used, cells that are no values of their columns among it.
        warnings: what may be right all the same.
        identifiers: rules that would help under `[intake.identifiers]`.
    """

    tables: Sequence[ExaminedTable]
    problems: Sequence[InputError]
    warnings: Sequence[str]
    identifiers: dict[str, Any]


A = TypeVar("A", bound=Agreement, contravariant=True)


class Examination(Protocol[A]):
    """Function that examines the tables of a kind of record."""

    def __call__(self, folder: Path, site: SiteFile, agreement: A, names_words: bool, /) -> Examined:
        """Take in a site folder's tables.

        Args:
            folder: the site folder.
            site: its file.
            agreement: the federation file.
            names_words: whether proposals may name words of several rows, as on the hospital's own terminal.
        """
        ...
