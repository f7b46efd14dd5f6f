"""Table of attacks: finding, what is promised, what was measured."""

from collections import Counter
from collections.abc import Callable

import pytest

AttackRow = Callable[[str, str, str], None]
ROWS = "attack-rows"


def row_of(request: pytest.FixtureRequest) -> AttackRow:
    """Return the function by which a test records its row."""

    def record(finding: str, promised: str, measured: str) -> None:
        row = (
            str(finding),
            str(promised),
            str(measured),
        )  # an enum's value, say, does not pass between processes
        request.node.user_properties.append((ROWS, row))

    return record


def lines(rows: list[tuple[str, str, str]]) -> list[str]:
    """Lay the rows out in three columns under a heading.

    The same row of several tests stands once, with their number.
    """
    counted = [
        (finding if number == 1 else f"{finding} ({number} tests)", promised, measured)
        for (finding, promised, measured), number in Counter(rows).items()
    ]
    table = [("finding", "promised", "measured"), *counted]
    widths = [max(len(row[column]) for row in table) for column in range(3)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in table]
