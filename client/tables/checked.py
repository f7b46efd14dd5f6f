"""Value read from a hospital's tables, together with every problem and warning on the way."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

from common.errors import InputError, InvalidContentError

T = TypeVar("T", covariant=True)


@dataclass(frozen=True)
class Checked(Generic[T]):
    """Value and the problems of its cells, in the order in which they were found.

    Cells with a problem are missing in the value, so that reading goes on and the hospital sees all problems at once.
    What is a warning may be right all the same: it is told, and stops nobody.
    """

    value: T
    problems: tuple[InputError, ...] = ()
    warnings: tuple[InputError, ...] = ()


class CellsError(InvalidContentError):
    """Cells of a table that do not fit, with the rows in which they are.

    The rows are no part of the sentence: they are for the hospital's own terminal alone.

    Attributes:
        rows: numbers of the rows in the file.
    """

    def __init__(self, where: str, what: str, remedy: str, rows: Iterable[int] = ()) -> None:
        super().__init__(where, what, remedy)
        self.rows = tuple(map(int, rows))
