"""Changes of a table by rules of intake, and cells that a rule leaves undecided."""

from collections.abc import Iterable
from dataclasses import dataclass, field

from client.tables.checked import CellsError
from common.errors import InputError


@dataclass(frozen=True)
class Change:
    """Effect of a rule on a table.

    Attributes:
        rule: key of the rule below `[intake.TABLE]`, or words for what is always done.
        column: the hospital's column; empty for the whole table.
        count: cells or rows that the rule changed.
        unit: `cell`, `row` or `name`.
        unused: entries of the rule, such as texts of a recode, that met no cell.
    """

    rule: str
    column: str
    count: int
    unit: str = "cell"
    unused: int = 0


@dataclass
class Notes:
    """Changes and undecided cells of a table, in the order in which they came up.

    Attributes:
        changes: effects of the rules.
        problems: what the rules leave undecided, by counts.
    """

    changes: list[Change] = field(default_factory=list)
    problems: list[InputError] = field(default_factory=list)

    def changed(self, rule: str, column: str, count: int, unit: str = "cell", unused: int = 0) -> None:
        """Note the effect of a rule."""
        self.changes.append(Change(rule, column, int(count), unit, unused))

    def undecided(self, where: str, what: str, remedy: str, rows: Iterable[int]) -> None:
        """Note cells or rows of a file that a rule does not decide."""
        self.problems.append(CellsError(where, what, remedy, rows))
