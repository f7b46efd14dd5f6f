"""Intake of a table: opened as declared, rules applied, one row of each patient.

Whatever reads a hospital's tables reads them here. Without a declared rule nothing is changed but what is always done:
blanks at the ends of names and cells do not count.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from client.intake.cells import Column, apply_rules
from client.intake.changes import Change, Notes
from client.intake.days import days_in, time_between
from client.intake.genes import renamed_genes
from client.intake.identifiers import normalised
from client.intake.rows import one_row_each
from client.rules.declaration import ColumnRules
from client.tables.header import Wanted, located
from client.tables.identifiers import read_identifiers
from client.tables.sources import Source, open_source
from client.tables.spelling import plain
from common.errors import InputError, InvalidContentError
from common.units.named import UNITS, unit_named

_BOOLEANS = {"True": 1, "TRUE": 1, "true": 1, "False": 0, "FALSE": 0, "false": 0}
"""Texts that a program writes for the two values of a column, which are read as such without rules as well."""

_RULED = "\0ruled "
"""Beginning of a frame's key for a column that rules have made, which no file has."""


@dataclass(frozen=True)
class Taken:
    """Table after intake.

    Attributes:
        frame: one row per patient, indexed by patient; None if the table cannot be used.
        keys: column of the federation file -> its key in the frame, where that is not the hospital's name.
        rows: number of each row in the file, in the order of the frame.
        read: rows of the file.
        changes: effects of the rules.
        problems: what keeps the table from being used, and what the rules leave undecided.
    """

    frame: pd.DataFrame | None
    keys: Mapping[str, str]
    rows: tuple[int, ...]
    read: int
    changes: tuple[Change, ...]
    problems: tuple[InputError, ...]


def take_file(path: Path, wanted: Wanted) -> Taken:
    """Take in the wanted columns of a table's file."""
    notes = Notes()
    try:
        source = open_source(path, wanted)
        _note_layout(source, wanted, notes)
        names = _names(path, source.names, wanted, notes)
        positions, problems = located(path, names, wanted, source.first_cells)
        if problems:
            return _unusable(notes, problems)
        frame = source.read(positions, wanted)
    except InputError as error:
        return _unusable(notes, [error])
    return _taken(path, frame, wanted, notes)


def take_frame(path: Path, frame: pd.DataFrame, wanted: Wanted) -> Taken:
    """Take in the wanted columns of a table in memory; `path` stands for it in errors.

    Its index has the patients if no column has.
    """
    if wanted.identifier not in frame.columns:
        frame = frame.rename_axis(wanted.identifier).reset_index()
    notes = Notes()
    try:
        names = _names(path, [plain(str(name)) for name in frame.columns], wanted, notes)
    except InputError as error:
        return _unusable(notes, [error])
    positions, problems = located(path, names, wanted, lambda: map(str, frame.iloc[:, 0]))
    if problems:
        return _unusable(notes, problems)
    columns = frame.iloc[:, [*positions.values()]].set_axis([*positions], axis=1)
    return _taken(path, columns.set_axis(range(1, len(frame) + 1), axis=0), wanted, notes)


def _note_layout(source: Source, wanted: Wanted, notes: Notes) -> None:
    """Note which rules of a file's layout were used: a text has no sheet."""
    declared, shared = wanted.rules.declared, wanted.rules.shared
    for rule in ("encoding", "delimiter", "sheet", "header_row"):
        value = getattr(declared, rule) or getattr(shared, rule, None)
        if value not in (None, 1):
            notes.changed(rule, "", rule in source.layout_rules, "file")


def _unusable(notes: Notes, problems: Iterable[InputError], read: int = 0) -> Taken:
    return Taken(None, {}, (), read, tuple(notes.changes), (*notes.problems, *problems))


def _names(path: Path, names: Sequence[str], wanted: Wanted, notes: Notes) -> list[str]:
    genes = [wanted.source_of(column) for column in wanted.columns]
    return renamed_genes(path, names, genes, wanted.rules.declared.genes, wanted.table, notes)


def _taken(path: Path, frame: pd.DataFrame, wanted: Wanted, notes: Notes) -> Taken:
    """Apply the rules to a frame of the wanted columns and those that rules read."""
    read, declared = len(frame), wanted.rules.declared
    if frame.empty:
        what = "is empty below its column names"
        return _unusable(notes, [InvalidContentError(str(path), what, "export it again")])
    where = f"{path}, column {wanted.identifier}"
    cells = frame[wanted.identifier].astype(object)
    cells = cells.where(cells.notna(), None)
    patients = normalised(cells, wanted.rules.shared.identifiers, where, wanted.identifier, notes)
    kept = one_row_each(
        frame.drop(columns=wanted.identifier),
        patients,
        declared.rows,
        wanted.rules.formats,
        wanted.rules.missing,
        str(path),
        notes,
    )
    if len(kept) < len(frame):
        frame, patients = frame.loc[kept], patients.loc[kept]
    if frame.empty:
        what = "has no row left by the declared rules"
        remedy = f"correct rows under [intake.{wanted.table}] in site.toml"
        return _unusable(notes, [InvalidContentError(str(path), what, remedy)], read)
    index = read_identifiers(path, wanted.identifier, patients)
    if index.problems:
        return _unusable(notes, index.problems, read)
    made, keys = _ruled(path, frame, wanted, notes)
    rows = tuple(int(row) for row in frame.index)
    whole = pd.concat([frame, pd.DataFrame(made, index=frame.index)], axis=1) if made else frame
    return Taken(whole.set_index(index.value), keys, rows, read, tuple(notes.changes), tuple(notes.problems))


def _ruled(
    path: Path, frame: pd.DataFrame, wanted: Wanted, notes: Notes
) -> "tuple[dict[str, pd.Series], dict[str, str]]":
    """Make the columns that rules change or compute: key -> cells, and column -> key."""
    made, keys, texts = {}, {}, wanted.as_texts  # of thousands of columns, looked up once
    for column in wanted.columns:
        rules, source = wanted.rules.column(column), wanted.source_of(column)
        if rules.between is None and source not in texts:
            continue
        name = column if rules.between is not None else source
        described = Column(
            f"{path}, column {name}",
            name,
            f"columns.{column}",
            wanted.categories.get(column, ()),
            wanted.units.get(column, ""),
            wanted.rules.missing,
        )
        if rules.between is not None:
            cells = _time(path, frame, described, rules, notes)
        else:
            cells = apply_rules(frame[source], described, rules, notes)
        keys[column] = _RULED + column
        made[keys[column]] = _typed(cells, described)
    return made, keys


def _time(path: Path, frame: pd.DataFrame, column: Column, rules: ColumnRules, notes: Notes) -> "pd.Series":
    """Compute a column of times from two columns of days."""
    assert rules.between is not None
    unit = unit_named(column.unit)
    if unit is None or UNITS[unit].quantity != "time":
        what = "is declared as a time between two days, and the federation file asks for no time there"
        notes.undecided(column.where, what, f"remove between under [intake] {column.key} in site.toml", ())
        return pd.Series(None, index=frame.index, dtype=object)
    first, last = (
        days_in(frame[name], rules.dates, (*column.missing, *rules.missing), f"{path}, column {name}", notes)
        for name in rules.between
    )
    return time_between(first, last, unit, column.where, f"{column.key}.between", column.name, notes)


def _typed(cells: "pd.Series", column: Column) -> "pd.Series":
    """Return numbers as such where all filled cells are, and missing cells as NaN."""
    if column.levels:
        return cells.where(cells.notna(), float("nan"))
    if bool(cells.dropna().isin(list(_BOOLEANS)).all()):
        cells = cells.map(_BOOLEANS)
    numbers = pd.to_numeric(cells, errors="coerce")
    return numbers if bool((numbers.notna() | cells.isna()).all()) else cells
