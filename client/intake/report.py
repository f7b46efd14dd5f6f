"""Report of an intake: effects of rules, what stays undecided, rules that would help.

It has counts and names of columns, and neither a value nor an identifier. Numbers of rows are no part of it.
"""

from collections.abc import Iterable, Iterator

from pydantic import BaseModel, ConfigDict

from client.intake.changes import Change
from common.counting import counted
from common.errors import InputError

_UNITS = {
    "cell": ("cell", "cells"),
    "row": ("row", "rows"),
    "name": ("column name", "column names"),
    "file": ("file", "files"),
}


class _Reported(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Effect(_Reported):
    """Effect of a rule; see `client.intake.changes.Change`."""

    rule: str
    column: str
    count: int
    unit: str
    unused: int

    def sentence(self) -> str:
        """Write the effect."""
        singular, plural = _UNITS[self.unit]
        column = f", {self.column}" if self.column else ""
        unused = f"; {counted(self.unused, 'entry', 'entries')} of it met nothing" if self.unused else ""
        if self.unit == "file":
            return f"{self.rule}: {counted(self.count, singular, plural)} read by it"
        return f"{self.rule}{column}: changed {counted(self.count, singular, plural)}{unused}"


class TableReport(_Reported):
    """Intake of a table.

    Attributes:
        table: its name in the federation file.
        file: the hospital's file.
        rows: rows that were read.
        patients: patients that are left; None if the table cannot be used.
        effects: of the rules, in the order in which they apply.
    """

    table: str
    file: str
    rows: int
    patients: int | None
    effects: tuple[Effect, ...]


class UndecidedThing(_Reported):
    """Problem or warning of a table, in words."""

    where: str
    what: str
    remedy: str
    code: str


class IntakeReport(_Reported):
    """Report of an intake.

    Attributes:
        site: the hospital's name.
        federation: hash of the federation file that the tables were held against.
        intake: SHA-256 of the declared rules; empty for none.
        approved: whether these rules are the approved ones; None if nothing is approved.
        tables: in the order of the federation file.
        undecided: what keeps the tables from being used.
        warnings: what may be right all the same.
        unused: declared rules that apply to nothing.
        proposed: lines for `site.toml` that would help; nothing is read by them until they stand there.
    """

    site: str
    federation: str
    intake: str
    approved: bool | None
    tables: tuple[TableReport, ...]
    undecided: tuple[UndecidedThing, ...]
    warnings: tuple[str, ...]
    unused: tuple[str, ...]
    proposed: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Write the report, a sentence per line."""
        yield f"{self.site}: rules of intake {self.intake[:16] or 'none declared'}{self._approval()}"
        for table in self.tables:
            patients = "not usable" if table.patients is None else counted(table.patients, "patient")
            yield f"  {table.table}, {table.file}: {counted(table.rows, 'row')} read, {patients}"
            yield from (f"    {effect.sentence()}" for effect in table.effects)
        yield from (f"  UNUSED {what}" for what in self.unused)
        yield from (f"  WARNING {what}" for what in self.warnings)

    def _approval(self) -> str:
        if self.approved is None:
            return ", not approved yet"
        return ", as approved" if self.approved else ", NOT those that were approved: approve again"


def effects_of(changes: Iterable[Change]) -> tuple[Effect, ...]:
    """Write changes of a table for a report."""
    return tuple(
        Effect(
            rule=change.rule,
            column=change.column,
            count=change.count,
            unit=change.unit,
            unused=change.unused,
        )
        for change in changes
    )


def fault_of(problem: InputError) -> UndecidedThing:
    """Write a problem for a report, without its rows."""
    return UndecidedThing(where=problem.where, what=problem.what, remedy=problem.remedy, code=problem.code)
