"""Columns and follow-up of hospitals far from those of others, in the records of a run."""

from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, Field

from common.agreement.agreement import Agreement
from common.counting import are, counted

STOPPED = (
    'The run ended before its first round, because the federation file says statistics.far = "stop": have the units of '
    "these columns checked, and run it again, or agree on a file with warn."
)
"""Sentence on a run that hospitals which lie far apart have ended."""


class Apart(BaseModel):
    """Quantity of which hospitals lie far from others, without a value.

    Attributes:
        quantity: its number among the family's quantities.
        table: name of the table in the federation file.
        column: name of the column; empty for a table as a whole.
        what: what the values are, such as `times of events`; empty where the column says it.
        sites: the hospital that lies far from all others; or, if several, those that differ, lowest first, of whom
            nobody can say who is right.
        times: how many times as large the values of the first are as the others', to two digits.
        hint: units that may have been taken for one another, as a question; empty without a guess.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    quantity: int = Field(ge=0)
    table: str
    column: str
    what: str = ""
    sites: tuple[str, ...] = Field(min_length=1)
    times: float = Field(gt=0)
    hint: str = ""

    @property
    def sentence(self) -> str:
        """The difference in words."""
        column = f"{self.column} of {self.table}" if self.column else f"{self.table} as a whole"
        what = f"{column} ({self.what})" if self.what else column
        hint = f": {self.hint}" if self.hint else "."
        if len(self.sites) == 1:
            return f"{self.sites[0]}: {what} lies far from the other hospitals', {_times(self.times)}{hint}"
        names = f"{', '.join(self.sites[:-1])} and {self.sites[-1]}"
        return (
            f"{names} differ in {what}, from lowest to highest {max(self.times, 1 / self.times):.2g} times; who is "
            f"right cannot be told from their sums{hint}"
        )


def _times(times: float) -> str:
    """A ratio in words."""
    return f"about {times:.2g} times as high" if times >= 1 else f"about {1 / times:.2g} times lower"


def by_site(apart: Iterable[Apart]) -> dict[str, list[int]]:
    """Hospital -> numbers of its quantities that lie far from others'."""
    numbers: dict[str, list[int]] = {}
    for difference in apart:
        for site in difference.sites:
            numbers.setdefault(site, []).append(difference.quantity)
    return numbers


def apart_lines(apart: Iterable[Apart]) -> list[str]:
    """Warnings about the differences, a line each."""
    differences = [*apart]
    if not differences:
        return []
    number = counted(len(differences), "column or follow-up", "columns or follow-ups")
    head = f"Warning: {number} {are(len(differences))} far apart between hospitals; have the units checked:"
    return [head, *(f"  {difference.sentence}" for difference in differences)]


def uncompared(federation: Agreement) -> list[str]:
    """Say that hospitals are not compared, where no sums leave them."""
    if federation.privacy is None or federation.privacy.statistics != "declared":
        return []
    return [
        "Hospitals are not compared: scaling is declared, and no sums leave them; each has its own profile."
    ]
