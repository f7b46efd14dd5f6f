"""Columns of a table that the federation asks for, found by name in its header."""

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from client.rules.declaration import TableRules
from client.site_folder.site_file import SITE_FILE
from client.tables.spelling import loose, plain
from common.counting import are, counted
from common.errors import InputError, InvalidContentError

_SHOWN = 3
"""Columns that are named of many."""


@dataclass(frozen=True)
class Wanted:
    """Columns that a table must have, under the hospital's names.

    Attributes:
        table: name of the table in the federation file.
        identifier: the hospital's column of patient identifiers.
        columns: columns of the federation file.
        renamed: the federation's column -> the hospital's, where they differ.
        categories: categorical columns -> their levels.
        numbers: the hospital's columns of numbers that are read where they are there.
        texts: the same, of text, even if it looks like numbers.
        rules: rules of intake.
        units: columns of the federation file -> the units it asks for.
    """

    table: str
    identifier: str
    columns: Sequence[str]
    renamed: Mapping[str, str] = field(default_factory=dict)
    categories: Mapping[str, Sequence[str]] = field(default_factory=dict)
    numbers: Sequence[str] = ()
    texts: Sequence[str] = ()
    rules: TableRules = field(default_factory=TableRules)
    units: Mapping[str, str] = field(default_factory=dict)

    def source_of(self, column: str) -> str:
        """Return the hospital's name of a column of the federation."""
        return self.renamed.get(column, column)

    @property
    def required(self) -> tuple[str, ...]:
        """All of the hospital's columns that must be there."""
        return tuple(dict.fromkeys([self.identifier, *map(self.source_of, self.read_columns), *self.inputs]))

    @property
    def read_columns(self) -> list[str]:
        """Columns of the federation file that are read, and not computed from others."""
        return [column for column in self.columns if self._between(column) is None]

    def _between(self, column: str) -> tuple[str, str] | None:
        """Two columns of dates that a column is computed from; tables may have thousands of columns."""
        rules = self.rules.declared.columns.get(column)
        return None if rules is None else rules.between

    @property
    def inputs(self) -> list[str]:
        """The hospital's columns that only rules read."""
        days = [name for column in self.columns for name in self._between(column) or ()]
        return list(dict.fromkeys([*days, *self.rules.declared.rows.columns]))

    @property
    def as_texts(self) -> frozenset[str]:
        """The hospital's columns whose cells rules read as the file has them."""
        asked = map(self.source_of, self.read_columns)
        if self.rules.changes_cells:
            return frozenset([*asked, *self.inputs])
        ruled = [column for column in self.rules.declared.columns if column in self.read_columns]
        return frozenset([*map(self.source_of, ruled), *self.inputs])

    @property
    def names(self) -> frozenset[str]:
        """The required columns, spelled plainly."""
        return frozenset(map(plain, self.required))


def located(
    path: Path, names: Sequence[str], wanted: Wanted, first_cells: Callable[[], Iterable[str]]
) -> tuple[dict[str, int], list[InputError]]:
    """Find the wanted columns among the names of a header.

    Args:
        path: the file, for errors.
        names: of all columns, spelled plainly.
        wanted: what is looked for.
        first_cells: reads the cells of the first column, where genes stand if rows and columns are exchanged.

    Returns:
        The hospital's name -> position, and a problem if a column is missing or there twice. A problem names the
        federation's columns and those of the site file, and others only where they differ in case or punctuation: a
        table without a header has a patient in its place.
    """
    asked = [*wanted.required, *wanted.numbers, *wanted.texts]
    count = Counter(names)
    position = {name: index for index, name in reversed(list(enumerate(names)))}
    positions = {name: position[plain(name)] for name in asked if plain(name) in position}
    problems: list[InputError] = []
    if missing := [name for name in wanted.required if name not in positions]:
        exchanged = len(set(map(plain, missing)) & set(map(plain, first_cells())))
        problems.append(_missing(path, names, wanted, missing, exchanged))
    if repeated := [name for name in positions if count[plain(name)] > 1]:
        where = f"{path}, column {repeated[0]}" if len(repeated) == 1 else str(path)
        what = "is in the header more than once"
        if len(repeated) > 1:
            what = f"{counted(len(repeated), 'column')} are in the header more than once, such as {_list(repeated)}"
        problems.append(InvalidContentError(where, what, "keep one column of each name"))
    return positions, problems


def _missing(
    path: Path, names: Sequence[str], wanted: Wanted, missing: Sequence[str], exchanged: int
) -> InputError:
    hint, remedy = _cause(names, wanted, missing)
    if exchanged * 2 > len(missing):
        hint, remedy = (
            f", and {exchanged:,} of them are in rows",
            "exchange rows and columns: a row for each patient",
        )
    if len(missing) == 1:
        return InvalidContentError(f"{path}, column {missing[0]}", f"is missing{hint}", remedy)
    total = counted(len(wanted.required), "column")
    what = f"{len(missing):,} of the {total} asked for are missing"
    if len(missing) == len(wanted.required):
        what = f"none of the {total} asked for is there"
    return InvalidContentError(str(path), f"{what}, such as {_list(missing)}{hint}", remedy)


_ENSEMBL = re.compile(r"ENS[A-Z]*[GTP]\d{11}(\.\d+)?")
_DATE = re.compile(r"\d{1,2}-(Mar|Sep|Dec|Oct|Apr|Feb)|(Mar|Sep|Dec|Oct|Apr|Feb)-\d{1,2}", re.IGNORECASE)
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?")


def _cause(names: Sequence[str], wanted: Wanted, missing: Sequence[str]) -> tuple[str, str]:
    """Tell why columns are not found, as far as the other names show it, and what to do."""
    filled = [name for name in names if name]
    spelled = {loose(name): name for name in filled}
    alike = {name: spelled[loose(name)] for name in missing if loose(name) in spelled}
    if sum(bool(_ENSEMBL.fullmatch(name)) for name in filled) * 2 > len(filled):
        return ", and its columns have Ensembl identifiers", _name_genes(wanted)
    if alike:
        name, other = next(iter(alike.items()))
        if len(missing) == 1:
            return f", but {other} is there", _rename(wanted, name, other)
        hint = f", but for capitals and punctuation {len(alike):,} of them {are(len(alike))} there"
        return (
            hint,
            f"name them as the federation file does, or map each under [columns.{wanted.table}] in {SITE_FILE}",
        )
    numbers = sum(bool(_NUMBER.fullmatch(name)) for name in filled)
    if (
        numbers * 2 > len(filled)
        and all(name.isdigit() for name in filled if _NUMBER.fullmatch(name))
        and numbers > 9
    ):
        return ", and its columns have numbers, as of Entrez", _name_genes(wanted)
    if numbers * 2 >= len(filled) and wanted.identifier in missing:
        return ", and its first row has numbers", "put the names of the columns into the first row"
    if dates := sum(bool(_DATE.fullmatch(name)) for name in filled):
        hint = f", and {counted(dates, 'column')} {'has' if dates == 1 else 'have'} a date for a name"
        remedy = f"write excel_dates = true under [intake.{wanted.table}.genes] in {SITE_FILE}"
        return hint, f"{remedy}, or import the table into Excel with its names as text, and save it again"
    if len(missing) > 1 and wanted.identifier in missing:
        names_of_site = (
            f"name yours in {SITE_FILE}: id for the identifiers, [columns.{wanted.table}] for the others"
        )
        return "", f"put the names of the columns into the first row, or {names_of_site}"
    if len(missing) > 1:
        return "", f"add them, or map each under [columns.{wanted.table}] in {SITE_FILE}"
    return "", _add(wanted, missing[0])


def _name_genes(wanted: Wanted) -> str:
    where = f"[intake.{wanted.table}.genes] in {SITE_FILE}"
    return f'rename them to the gene symbols asked for, or name a file of them: names = "FILE" under {where}'


def _add(wanted: Wanted, name: str) -> str:
    """Tell how to give a column that has another name, or none, at the hospital."""
    if name == wanted.identifier:
        return f"add it, or name your column of patient identifiers as id in {SITE_FILE}"
    return f"add it, or map it under [columns.{wanted.table}] in {SITE_FILE}"


def _rename(wanted: Wanted, name: str, other: str) -> str:
    if name == wanted.identifier:
        return f'write id = "{other}" at the beginning of {SITE_FILE}, or rename the column'
    asked = {theirs: ours for ours, theirs in wanted.renamed.items()}.get(name, name)
    return (
        f'rename the column, or write {_key(asked)} = "{other}" under [columns.{wanted.table}] in {SITE_FILE}'
    )


def _key(name: str) -> str:
    """Write a key of TOML, in quotes where it needs them."""
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else f'"{name}"'


def _list(names: Sequence[str]) -> str:
    """Name the first few of many columns."""
    first = [name if len(name) <= 60 else f"{name[:57]}..." for name in names[:_SHOWN]]
    return " and ".join(filter(None, [", ".join(first[:-1]), first[-1]]))
