"""Names of genes at a hospital, brought to the symbols that the federation file asks for.

A symbol changes over the years, a chip names genes by Entrez or Ensembl, and Excel takes MARCH1 for a day. A name is
taken for a symbol only where nothing else is meant by it: any other is left, and counted.
"""

import csv
import re
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from client.intake.changes import Notes
from client.rules.declaration import GeneRules
from client.tables.csv_layout import declare
from client.tables.spelling import plain
from common.counting import counted
from common.errors import InvalidContentError, MissingFileError
from common.reading.access import read_bytes

_HGNC = ("alias_symbol", "prev_symbol", "entrez_id", "ensembl_gene_id")
"""Columns of the complete set of HGNC, beside `symbol`, that have other names of a gene."""

_DAY = re.compile(r"(?:(\d{1,2})-([A-Z]{3})|([A-Z]{3})-(\d{1,2}))(?:-\d{2,4})?", re.IGNORECASE)

_FAMILIES: dict[str, tuple[tuple[str, range], ...]] = {
    "mar": (("MARCH", range(1, 12)), ("MARCHF", range(1, 12)), ("MARC", range(1, 3)), ("MTARC", range(1, 3))),
    "sep": (("SEPT", range(1, 15)), ("SEPTIN", range(1, 15))),
    "dec": (("DEC", range(1, 3)),),
}
"""Month -> families of genes whose symbols Excel takes for days of it, with their numbers (Ziemann et al., 2016)."""

_NEWER = {"MARCH": "MARCHF", "MARC": "MTARC", "SEPT": "SEPTIN", "DEC1": "DELEC1", "DEC2": "BHLHE41"}
"""Former symbol or family -> that of today (HGNC, 2020)."""


def renamed_genes(
    path: Path, names: Sequence[str], asked: Sequence[str], rules: GeneRules, table: str, notes: Notes
) -> list[str]:
    """Return the names of a table's columns, those of genes in the symbols that are asked for.

    Args:
        path: the table's file, for problems.
        names: of its columns.
        asked: columns of the federation file, under the hospital's names.
        rules: declared rules.
        table: its name in the federation file, for remedies.
        notes: receives counts.

    Raises:
        InputError: if the file of names cannot be used.
    """
    if rules.names is None and not rules.excel_dates:
        return list(names)
    wanted, present = set(asked), set(names)
    result = list(names)
    if rules.names is not None:
        symbols = _symbols(Path(rules.names))
        result, changed, several = _by_table(result, wanted, present, symbols)
        notes.changed("genes.names", "", changed, "name")
        _undecided(path, several, "stand for several of the genes that are asked for", table, notes)
    if rules.excel_dates:
        result, changed, several = _by_dates(result, wanted, set(result))
        notes.changed("genes.excel_dates", "", changed, "name")
        _undecided(path, several, "are dates that Excel made of either of two genes", table, notes)
    return result


def _undecided(path: Path, count: int, what: str, table: str, notes: Notes) -> None:
    if count:
        whole = f"has {counted(count, 'column name')} that {what}"
        remedy = f"name the gene of each in a file, and {declare(table + '.genes', 'names', 'FILE')}"
        notes.undecided(str(path), whole, remedy, ())


def _by_table(
    names: Sequence[str], wanted: set[str], present: set[str], symbols: dict[str, set[str]]
) -> tuple[list[str], int, int]:
    """Return the names by a table of symbols, how many changed, and how many are several genes."""
    result, changed, several = [], 0, 0
    for name in names:
        meant = symbols.get(_key(name), set()) & wanted - present if name not in wanted else set()
        several += len(meant) > 1
        changed += len(meant) == 1
        result.append(meant.pop() if len(meant) == 1 else name)
    return result, changed, several


def _key(name: str) -> str:
    """Spell a name for comparison; the version of an Ensembl identifier does not count."""
    return re.sub(r"^(ENS[A-Z]*\d{11})\.\d+$", r"\1", plain(name)).removesuffix(".0")


def _symbols(path: Path) -> dict[str, set[str]]:
    """Read name -> symbols from a file of HGNC, or of two columns.

    Raises:
        InputError: if it has another form.
    """
    missing = MissingFileError(str(path), "there is no such file", "correct names under genes in site.toml")
    text = read_bytes(path, missing).decode("utf-8-sig", errors="replace")
    lines = text.splitlines()
    delimiter = max("\t,;", key=(lines[0] if lines else "").count)
    rows = [row for row in csv.reader(StringIO(text), delimiter=delimiter) if row]
    header = [plain(name).lower() for name in rows[0]] if rows else []
    symbols: dict[str, set[str]] = {}
    if "symbol" in header and any(name in header for name in _HGNC):
        symbol = header.index("symbol")
        others = [header.index(name) for name in _HGNC if name in header]
        for row in rows[1:]:
            for index in (index for index in others if index < len(row) and symbol < len(row)):
                for name in filter(None, map(plain, row[index].split("|"))):
                    symbols.setdefault(_key(name), set()).add(plain(row[symbol]))
    elif rows and all(len(row) == 2 for row in rows):
        for name, to in rows:
            symbols.setdefault(_key(name), set()).add(plain(to))
    else:
        what = "is no table of gene names: neither has it two columns nor those of HGNC's complete set"
        raise InvalidContentError(str(path), what, "write a name and its symbol in each row")
    return symbols


def _by_dates(names: Sequence[str], wanted: set[str], present: set[str]) -> tuple[list[str], int, int]:
    """Return the names by the genes of dates, how many changed, and how many are undecided."""
    result, changed, several = [], 0, 0
    for name in names:
        genes = _genes_of(name)
        free = [gene for gene in genes if not gene & present]
        meant = set().union(*free) & wanted if len(free) == 1 else set[str]()
        is_several = len(free) > 1 and bool(set().union(*free) & wanted)
        several += is_several or len(meant) > 1
        changed += len(meant) == 1
        result.append(next(iter(meant)) if len(meant) == 1 else name)
    return result, changed, several


def _genes_of(name: str) -> list[set[str]]:
    """List the genes of a date by Excel, as sets of former and present symbols."""
    match = _DAY.fullmatch(name)
    if match is None:
        return []
    day, month = int(match[1] or match[4]), (match[2] or match[3]).lower()
    genes: list[set[str]] = []
    for family, numbers in _FAMILIES.get(month, ()):
        if day not in numbers or family in _NEWER.values():
            continue
        symbol = f"{family}{day}"
        newer = _NEWER.get(symbol, f"{_NEWER[family]}{day}" if family in _NEWER else symbol)
        genes.append({symbol, newer})
    return genes
