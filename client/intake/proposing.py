"""Rules that would help a table to be read, proposed and never applied.

A proposal rests on what a file shows: its bytes, its first lines, and cells that are no numbers or levels. Words that
it names are those of `client.tables.vocabulary`; a hospital's own words are named on its own terminal alone, and only
those of several rows.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from client.intake.cells import above
from client.intake.changes import Notes
from client.intake.genes import renamed_genes
from client.intake.taking import Taken, take_file
from client.rules.declaration import GeneRules, TableIntake, TableRules
from client.tables.csv_layout import is_utf16, layout_of
from client.tables.header import Wanted
from client.tables.likely_unit import Ranges, likely_unit
from client.tables.sources import open_source
from client.tables.spelling import MISSING, as_text, loose, plain
from client.tables.table_file import is_parquet, is_workbook, table_text
from client.tables.vocabulary import NOT_HAPPENED, UNKNOWN, UNKNOWN_NUMBERS, event_of
from client.tables.workbook import find_sheet, opened_workbook
from common.errors import InputError
from common.extras import require_extra

_COMMON = 5
"""Fewest rows with a word that is named on the hospital's terminal."""

_LONGEST = 40
"""Longest such word."""

Rules = dict[str, Any]


@dataclass(frozen=True)
class ProposalSubject:
    """Table that rules are proposed for.

    Attributes:
        path: its file.
        wanted: columns that are asked for, with the declared rules.
        binary: columns of 0 and 1.
        plausible: column -> unit and ranges.
        names_words: whether words of the table may be named: on the hospital's own terminal.
    """

    path: Path
    wanted: Wanted
    binary: frozenset[str]
    plausible: Mapping[str, Ranges]
    names_words: bool = False


def propose(subject: ProposalSubject) -> Rules:
    """Return rules for `[intake.TABLE]`, as TOML would have them; empty if none would help."""
    rules: Rules = {}
    try:
        rules |= _layout(subject)
        wanted = _with(subject.wanted, rules)
        rules |= _genes(subject.path, wanted)
        wanted = _with(subject.wanted, rules)
        cells = _cells(subject.path, wanted)
    except InputError:  # the reader's own error says more than a proposal could
        return rules
    columns: dict[str, Rules] = {}
    decimal = _decimal(cells, wanted)
    rules |= decimal
    for column, texts in cells.items():
        more = _column(texts, column, wanted, subject, bool(decimal))
        if more:
            columns[column] = more
    if columns:
        rules["columns"] = columns
    return rules | _rows(take_file(subject.path, wanted), subject.path, wanted)


def _with(wanted: Wanted, rules: Rules) -> Wanted:
    declared = TableIntake.model_validate(wanted.rules.declared.model_dump(exclude_defaults=True) | rules)
    return replace(wanted, rules=TableRules(wanted.table, wanted.rules.shared, declared))


def _layout(subject: ProposalSubject) -> Rules:
    """Propose encoding, delimiter, row of names and sheet."""
    path, wanted = subject.path, subject.wanted
    declared, rules = wanted.rules.declared, Rules()
    if is_parquet(path):
        return rules
    if is_workbook(path):
        if declared.sheet is not None:
            return rules
        require_extra("excel", f"{path}, an Excel workbook,")
        with opened_workbook(path) as workbook:
            likeliest = find_sheet(workbook, wanted.names)
        rules["sheet"] = likeliest.sheet or "NAME"
        return rules | ({"header_row": likeliest.header_row} if likeliest.header_row > 1 else {})
    with table_text(path) as file:
        content = file.read()
    encoding = wanted.rules.encoding
    if encoding == "utf-8":
        if is_utf16(content):
            encoding = rules["encoding"] = "utf-16"
        elif not _is_utf8(content):
            encoding = rules["encoding"] = "windows-1252"
    text = content.decode(encoding, errors="replace").encode()
    if declared.header_row > 1 or not text.strip():
        return rules
    layout = layout_of(text, wanted.names, wanted.rules.delimiter)
    if layout.delimiter != wanted.rules.delimiter:
        rules["delimiter"] = layout.delimiter
    return rules | ({"header_row": layout.header_row} if layout.above else {})


def _genes(path: Path, wanted: Wanted) -> Rules:
    """Propose to read dates of Excel as genes, where that finds columns that are asked for."""
    if wanted.rules.declared.genes != GeneRules():
        return {}
    dates, asked = GeneRules(excel_dates=True), [wanted.source_of(column) for column in wanted.columns]
    names = open_source(path, wanted).names
    changed = renamed_genes(path, names, asked, dates, wanted.table, Notes()) != list(names)
    return {"genes": {"excel_dates": True}} if changed else {}


def _is_utf8(content: bytes) -> bool:
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return False
    return True


def _cells(path: Path, wanted: Wanted) -> dict[str, list[object]]:
    """Read columns without declared rules as the file has them: column -> filled cells."""
    source = open_source(path, wanted)
    positions = {name: index for index, name in enumerate(source.names)}
    there = {
        wanted.source_of(column): positions[plain(wanted.source_of(column))]
        for column in wanted.read_columns
        if plain(wanted.source_of(column)) in positions and column not in wanted.rules.declared.columns
    }
    every = replace(wanted, texts=tuple(there), categories={})
    frame = source.read(there, every).astype(object)
    missing = MISSING | set(map(plain, wanted.rules.missing))
    cells = {}
    for column in wanted.read_columns:
        if (name := wanted.source_of(column)) in frame.columns:
            levels = set(wanted.categories.get(column, ()))
            texts = [as_text(cell) for cell in frame[name] if cell is not None and not pd.isna(cell)]
            cells[column] = [text for text in texts if text not in missing or text in levels]
    return cells  # type: ignore[return-value]


def _decimal(cells: Mapping[str, Sequence[object]], wanted: Wanted) -> Rules:
    """Propose a decimal comma if numbers have one and none has a point."""
    texts = [str(cell) for column in cells if column not in wanted.categories for cell in cells[column]]
    return {"decimal": ","} if wanted.rules.column("").decimal is None and _uses_comma(texts) else {}


def _uses_comma(texts: Sequence[str]) -> bool:
    """Whether numbers have a decimal comma, and none a point."""
    with_comma = any("," in text and _is_number(text.replace(",", ".", 1)) for text in texts)
    return with_comma and not any("." in text and _is_number(text) for text in texts)


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _column(
    cells: Sequence[object], column: str, wanted: Wanted, subject: ProposalSubject, has_commas: bool
) -> Rules:
    texts = [str(cell) for cell in cells]
    if column in subject.binary:
        return _event(texts, subject)
    if column in wanted.categories:
        return _levels(texts, wanted.categories[column], subject)
    rules, plausible = Rules(), subject.plausible.get(column, Ranges(""))
    if not has_commas and wanted.rules.column(column).decimal is None and _uses_comma(texts):
        rules["decimal"] = ","
    if has_commas or rules:
        texts = [text.replace(",", ".", 1) for text in texts]
    words = {text for text in texts if not _is_number(text)}
    unknown = sorted(word for word in words if word.casefold() in UNKNOWN)
    numbers = np.array([float(text) for text in texts if _is_number(text)])
    unknown += sorted(
        {f"{n:g}" for n in numbers if n in UNKNOWN_NUMBERS and _is_outside(float(n), plausible)}
    )
    if unknown:
        rules["missing"] = unknown
    if any(word[0] in "<>~\u2264\u2265" for word in words):
        rules["limits"] = "number"
    inside = numbers[~np.isin(numbers, [float(text) for text in unknown if _is_number(text)])]
    if (unit := likely_unit(inside, plausible)) is not None:
        rules["unit"] = unit
    return rules


def _is_outside(number: float, plausible: Ranges) -> bool:
    low, high = plausible.low, plausible.high
    return (low is not None and number < low) or (high is not None and number > high)


def _event(texts: Sequence[str], subject: ProposalSubject) -> Rules:
    """Propose a recode of words, or of 1 and 2, to 0 and 1."""
    words = Counter(texts)
    if set(words) <= {"0", "1"} or {word.casefold() for word in words} <= {"true", "false"}:
        return {}
    if set(words) == {"1", "2"}:
        return {"recode": {"1": 0, "2": 1}}
    recode: dict[str, int | str] = {
        word: event for word in sorted(words) if (event := event_of(word)) is not None
    }
    recode |= {word: _guess(word) for word in _named(words, recode, subject)}
    return {"recode": recode} if recode else {}


def _guess(word: str) -> int | str:
    first = word.casefold().split(" ")[0]
    event = event_of(first)
    return "?" if event is None or first in NOT_HAPPENED & {"no", "none", "non"} else event


def _levels(texts: Sequence[str], levels: Sequence[str], subject: ProposalSubject) -> Rules:
    """Propose rules for texts that are no levels."""
    names, rules = set(map(plain, levels)), Rules()
    words = Counter(text for text in texts if text not in names)
    unknown = sorted(word for word in words if word.casefold() in UNKNOWN)
    spelled = Counter(loose(level) for level in names)
    alike = {word for word in words if spelled[loose(word)] == 1}
    parts = {word for word in words if above(word, dict.fromkeys(names)) is not None} - alike
    if unknown:
        rules["missing"] = unknown
    if alike:
        rules["spelling"] = "loose"
    if parts:
        rules["sublevels"] = True
    recode = dict.fromkeys(_named(words, {*unknown, *alike, *parts}, subject), "?")
    return rules | ({"recode": recode} if recode else {})


def _named(words: Counter[str], others: Iterable[str], subject: ProposalSubject) -> list[str]:
    """List words of several rows that nothing is proposed for, if they may be named."""
    if not subject.names_words:
        return []
    left = set(words) - set(others)
    return sorted(word for word in left if words[word] >= _COMMON and len(word) <= _LONGEST)


def _rows(taken: Taken, path: Path, wanted: Wanted) -> Rules:
    """Propose to leave out rows that repeat another, where that is all."""
    rows = wanted.rules.declared.rows
    if taken.frame is not None or rows.identical or rows.keep != "refuse":
        return {}
    identical = rows.model_copy(update={"identical": True})
    without = take_file(path, _with(wanted, {"rows": identical}))
    dropped = sum(change.count for change in without.changes if change.rule == "rows.identical")
    return {"rows": {"identical": True}} if dropped else {}
