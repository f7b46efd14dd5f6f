"""Declaration of intake in `site.toml`: `[intake]` for all tables, `[intake.TABLE]` for one."""

import codecs
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from os.path import relpath
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from client.rules.dates import checked_format
from common.units.named import UNITS, unit_named


def _codec(name: str) -> str:
    try:
        codec = codecs.lookup(name)
        "".encode(codec.name)
    except (LookupError, TypeError):
        raise ValueError("is no encoding: write utf-8, utf-16, latin-1, windows-1252, or another") from None
    return name


def _unit(name: str) -> str:
    if (unit := unit_named(name)) is None:
        raise ValueError(f"is no unit that is known here: write one of {', '.join(UNITS)}, or a factor")
    return unit


Encoding = Annotated[str, AfterValidator(_codec)]
Delimiter = Literal[",", ";", "\t", "|", " "]
DateFormat = Annotated[str, AfterValidator(checked_format)]
Level = str | bool | int | float


class _Declared(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class IdentifierRules(_Declared):
    """Spelling that identifiers are brought to, in all tables alike.

    Attributes:
        case: capitals of all letters.
        blanks: `remove` takes blanks inside them away; blanks at their ends never count.
        zeros: `strip` takes zeros at the beginning of each number in them away.
        width: digits of identifiers that are numbers, filled up with zeros.
    """

    case: Literal["upper", "lower"] | None = None
    blanks: Literal["remove"] | None = None
    zeros: Literal["strip"] | None = None
    width: int | None = Field(default=None, ge=1, le=64)

    @model_validator(mode="after")
    def _one_length(self) -> Self:
        if self.zeros is not None and self.width is not None:
            raise ValueError("zeros and width contradict each other: keep one of them")
        return self


class RowRules(_Declared):
    """Row that is kept of each patient.

    Attributes:
        keep: `first` or `last` by the column `by`, or in the file; `refuse` refuses a second row.
        by: the hospital's column of a visit's number or day.
        before: day as YYYY-MM-DD, or column of days; rows that are later by `by` are left out.
        identical: whether rows that repeat another in all that is read are left out.
    """

    keep: Literal["first", "last", "refuse"] = "refuse"
    by: str | None = None
    before: str | None = None
    identical: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.before is not None and self.by is None:
            raise ValueError("before needs by, the column of days that it is held against")
        return self

    @property
    def day(self) -> date | None:
        """Last day that counts; None if `before` is a column."""
        try:
            return date.fromisoformat(self.before or "")
        except ValueError:
            return None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns that the rule reads."""
        named = (self.by, None if self.day is not None else self.before)
        return tuple(name for name in named if name is not None)


class GeneRules(_Declared):
    """Names of genes that columns have at the hospital.

    Attributes:
        names: file of names and symbols, as HGNC publishes it or with two columns, relative to the site folder.
        excel_dates: whether names that Excel turned into dates are taken for the genes of these dates.
    """

    names: str | None = None
    excel_dates: bool = False


class ColumnRules(_Declared):
    """Rules of a column of the federation file.

    Attributes:
        missing: texts that stand for an empty cell, besides those of the table.
        recode: the hospital's text -> level or number.
        spelling: `loose` takes levels whatever their capitals, blanks and punctuation.
        sublevels: whether a level's subdivision, such as T1c of T1, is the level.
        unit: the hospital's unit, converted into that of the federation file.
        factor: number that cells are multiplied by.
        decimal: sign before the decimals.
        thousands: sign between thousands.
        limits: how a limit such as >100 is read: its number, or an empty cell.
        between: two columns of days; the cell is the time from the first to the second.
        dates: formats of these days.
    """

    missing: tuple[str, ...] = ()
    recode: dict[str, Level] = {}
    spelling: Literal["loose"] | None = None
    sublevels: bool = False
    unit: Annotated[str, AfterValidator(_unit)] | None = None
    factor: float | None = Field(default=None, gt=0, allow_inf_nan=False)
    decimal: Literal[",", "."] | None = None
    thousands: Literal[",", ".", " ", "'"] | None = None
    limits: Literal["number", "missing"] | None = None
    between: tuple[str, str] | None = None
    dates: tuple[DateFormat, ...] = ()

    @model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.unit is not None and self.factor is not None:
            raise ValueError("unit and factor are two ways of saying one thing: keep one of them")
        if self.between is not None and (self.unit is not None or self.factor is not None):
            raise ValueError("between gives a time in the unit of the federation file: remove unit or factor")
        return self


class _Shared(_Declared):
    """Rules that may stand under `[intake]` and under a table; those of the table win."""

    encoding: Encoding | None = None
    delimiter: Delimiter | None = None
    decimal: Literal[",", "."] | None = None
    thousands: Literal[",", ".", " ", "'"] | None = None
    missing: tuple[str, ...] = ()
    dates: tuple[DateFormat, ...] = ()


class TableIntake(_Shared):
    """Rules of a table.

    Attributes:
        id: its column of identifiers, where it is not that of the other tables.
        sheet: sheet of an Excel workbook.
        header_row: row with the names of the columns, from 1.
        rows: row that is kept of each patient.
        genes: names of genes.
        columns: column of the federation file -> its rules.
    """

    id: str | None = None
    sheet: str | None = None
    header_row: int = Field(default=1, ge=1, le=1000)
    rows: RowRules = RowRules()
    genes: GeneRules = GeneRules()
    columns: dict[str, ColumnRules] = {}


class IntakeRules(_Shared):
    """All rules of intake; tables are keys of their own beside the rules for all."""

    model_config = ConfigDict(frozen=True, extra="allow")
    __pydantic_extra__: dict[str, TableIntake] = Field(init=False)

    identifiers: IdentifierRules = IdentifierRules()

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        for key, value in data.items() if isinstance(data, dict) else ():
            if key not in cls.model_fields and not isinstance(value, dict | TableIntake):
                raise ValueError(f"{key} is no rule for all tables: one of {', '.join(cls.model_fields)}")
        return data

    @property
    def tables(self) -> Mapping[str, TableIntake]:
        """Table -> its rules."""
        return self.__pydantic_extra__ or {}

    @property
    def is_empty(self) -> bool:
        """Whether nothing is declared."""
        return self == IntakeRules()

    @property
    def files(self) -> list[str]:
        """Files that rules name."""
        return sorted({table.genes.names for table in self.tables.values() if table.genes.names is not None})

    def located(self, folder: Path) -> "IntakeRules":
        """Return the same rules with the whole paths of the files that they name."""
        if not self.files:
            return self
        tables = {}
        for name, table in self.tables.items():
            path = table.genes.names and str((folder / table.genes.names).absolute())
            tables[name] = table.model_copy(update={"genes": table.genes.model_copy(update={"names": path})})
        copy = self.model_copy()
        copy.__pydantic_extra__.update(tables)
        return copy


@dataclass(frozen=True)
class TableRules:
    """Rules of one table, those for all tables among them.

    Attributes:
        table: name of the table in the federation file.
        shared: rules for all tables.
        declared: rules of the table.
    """

    table: str = ""
    shared: IntakeRules = field(default_factory=IntakeRules)
    declared: TableIntake = field(default_factory=TableIntake)

    @property
    def encoding(self) -> str:
        """Encoding of a text file."""
        return self.declared.encoding or self.shared.encoding or "utf-8"

    @property
    def delimiter(self) -> str:
        """Sign between the cells of a text file."""
        return self.declared.delimiter or self.shared.delimiter or ","

    @property
    def missing(self) -> tuple[str, ...]:
        """Texts for an empty cell in any column."""
        return tuple(dict.fromkeys((*self.shared.missing, *self.declared.missing)))

    @property
    def formats(self) -> tuple[str, ...]:
        """Formats of dates in any column."""
        return self.declared.dates or self.shared.dates

    def column(self, name: str) -> ColumnRules:
        """Return the rules of a column of the federation file, those of the table filled in."""
        rules = self.declared.columns.get(name, ColumnRules())
        table, shared = self.declared, self.shared
        return rules.model_copy(
            update={
                "decimal": rules.decimal or table.decimal or shared.decimal,
                "thousands": rules.thousands or table.thousands or shared.thousands,
                "dates": rules.dates or self.formats,
            }
        )

    @property
    def changes_rows(self) -> bool:
        """Whether the number of patients depends on the rules."""
        layout = self.encoding != "utf-8" or self.delimiter != "," or self.declared.header_row > 1
        return layout or self.declared.rows != RowRules() or self.shared.identifiers != IdentifierRules()

    @property
    def changes_cells(self) -> bool:
        """Whether a rule may change cells of any column."""
        return bool(self.missing or self.declared.decimal or self.shared.decimal or self._thousands)

    @property
    def _thousands(self) -> str | None:
        return self.declared.thousands or self.shared.thousands


def digest(intake: IntakeRules, folder: Path) -> str:
    """Return the SHA-256 of a declaration and its files; empty if nothing is declared.

    Raises:
        OSError: if such a file cannot be read.
    """
    if intake.is_empty:
        return ""
    declared = intake.model_dump(mode="json", exclude_defaults=True)
    files = {}
    for name in intake.files:
        path = folder / name
        files[relpath(path, folder)] = hashlib.sha256(path.read_bytes()).hexdigest()
    for table in declared.values():
        if isinstance(table, dict) and "names" in table.get("genes", {}):
            table["genes"]["names"] = relpath(folder / table["genes"]["names"], folder)
    content = json.dumps([declared, files], sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(content.encode()).hexdigest()
