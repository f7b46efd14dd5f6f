"""Number of patients in a table, by its identifiers and the rules that choose rows."""

from pathlib import Path

from client.intake.changes import Notes
from client.intake.identifiers import normalised
from client.intake.rows import later_rows
from client.rules.declaration import TableRules
from client.tables.header import Wanted, located
from client.tables.sources import open_source


def count_patients(path: Path, identifier: str, rules: TableRules) -> int:
    """Count the patients of a table, of whom each has one row after intake.

    Raises:
        InputError: if the table cannot be read.
    """
    wanted, notes = Wanted(rules.table, identifier, (), rules=rules), Notes()
    source = open_source(path, wanted)
    positions, problems = located(path, source.names, wanted, source.first_cells)
    if problems:
        raise problems[0]
    frame = source.read(positions, wanted)
    cells = frame[identifier].astype(object)
    where = f"{path}, column {identifier}"
    patients = normalised(
        cells.where(cells.notna(), None), rules.shared.identifiers, where, identifier, notes
    )
    rows = rules.declared.rows
    later = later_rows(frame, rows, rules.formats, rules.missing, str(path), notes)
    return int(patients[~later].nunique()) + int(patients[~later].isna().sum())
