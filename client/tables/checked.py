"""Value read from a hospital's tables, together with every problem and warning on the way."""

from dataclasses import dataclass
from typing import Generic, TypeVar

from common.errors import InputError

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
