"""Cells of a column, changed by rules: missing texts, recodes, levels, numbers, units."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from client.intake.changes import Notes
from client.rules.declaration import ColumnRules
from client.tables.spelling import MISSING, as_text, loose, plain
from common.counting import counted
from common.units.named import conversion

_LIMIT = re.compile(r"(<|>|\u2264|\u2265|~)=? ?(?P<number>[-+]?\d.*)")
_SUBDIVISION = re.compile(r"([a-z]{1,2}\d?)?( ?\(.*\))?", re.IGNORECASE)
_ROMAN = re.compile(r"[IVX]+")
"""End of a level's subdivision, such as that of T1c, N1mi or N0 (i-)."""

Cells = "pd.Series[Any]"


@dataclass(frozen=True)
class Column:
    """Column that rules are applied to.

    Attributes:
        where: file and the hospital's column, for problems.
        name: the hospital's column.
        key: the column's key in the declaration, for changes.
        levels: levels of a categorical column, or classes; empty for numbers.
        unit: the unit that the federation file asks for; empty for none.
        missing: texts for an empty cell in any column of the table.
    """

    where: str
    name: str
    key: str
    levels: Sequence[str]
    unit: str
    missing: Sequence[str]


def apply_rules(
    cells: "pd.Series[Any]", column: Column, rules: ColumnRules, notes: Notes
) -> "pd.Series[Any]":
    """Apply a column's rules to its cells, whose index has the rows' numbers.

    Cells that a rule does not decide are noted, and empty in what is returned.
    """
    levels = set(map(plain, column.levels))
    cells = cells.astype(object).map(lambda cell: _tidy(cell, levels))
    cells = _without_missing(cells, column, rules, levels, notes)
    if rules.recode:
        cells = _recoded(cells, column, rules, notes)
    if column.levels:
        return _levelled(cells, column, rules, notes)
    if rules.limits is not None:
        cells = _unlimited(cells, column, rules, notes)
    if rules.decimal == "," or rules.thousands is not None:
        cells = _pointed(cells, column, rules, notes)
    if rules.unit is not None or rules.factor is not None:
        cells = _converted(cells, column, rules, notes)
    return cells


def _tidy(cell: object, levels: set[str]) -> object:
    """Spell a text plainly; what is missing everywhere is None."""
    if not isinstance(cell, str):
        return None if pd.isna(cell) else cell  # type: ignore[call-overload]
    text = plain(cell)
    return None if text in MISSING and text not in levels else text


def _changed(before: "pd.Series[Any]", after: "pd.Series[Any]") -> int:
    return sum(_differs(old, new) for old, new in zip(before, after, strict=True))


def _differs(old: object, new: object) -> bool:
    return (old is None) != (new is None) or (old is not None and (old != new or type(old) is not type(new)))


def _mapped(cells: "pd.Series[Any]", change: Callable[[object], object]) -> "pd.Series[Any]":
    """Change filled cells, each different one once."""
    memory: dict[tuple[type, object], object] = {}

    def changed(cell: object) -> object:
        if cell is None:
            return None
        key = (type(cell), cell)
        if key not in memory:
            memory[key] = change(cell)
        return memory[key]

    return pd.Series([changed(cell) for cell in cells], index=cells.index, dtype=object)


def _without_missing(
    cells: "pd.Series[Any]", column: Column, rules: ColumnRules, levels: set[str], notes: Notes
) -> "pd.Series[Any]":
    shared = {plain(text) for text in column.missing} - levels
    of_column = {plain(text) for text in rules.missing}
    for rule, texts in (("missing", shared), (f"{column.key}.missing", of_column)):
        if not texts:
            continue
        seen = {as_text(cell) for cell in cells if cell is not None}
        after = _mapped(cells, lambda cell, texts=texts: None if as_text(cell) in texts else cell)  # type: ignore[misc]
        notes.changed(rule, column.name, _changed(cells, after), unused=len(texts - seen))
        cells = after
    return cells


def _recoded(cells: "pd.Series[Any]", column: Column, rules: ColumnRules, notes: Notes) -> "pd.Series[Any]":
    spell = loose if rules.spelling == "loose" else plain
    table = {spell(text): int(to) if isinstance(to, bool) else to for text, to in rules.recode.items()}
    met: set[str] = set()

    def recode(cell: object) -> object:
        text = spell(as_text(cell))
        if text not in table:
            return cell
        met.add(text)
        to = table[text]
        return None if to == "" else to

    after = _mapped(cells, recode)
    notes.changed(f"{column.key}.recode", column.name, _changed(cells, after), unused=len(table) - len(met))
    return after


def _levelled(cells: "pd.Series[Any]", column: Column, rules: ColumnRules, notes: Notes) -> "pd.Series[Any]":
    levels = {plain(level): level for level in column.levels}
    if rules.spelling == "loose":
        spelled: dict[str, list[str]] = {}
        for level in levels:
            spelled.setdefault(loose(level), []).append(level)

        def respell(cell: object) -> object:
            alike = spelled.get(loose(as_text(cell)), [])
            return alike[0] if len(alike) == 1 and as_text(cell) not in levels else cell

        after = _mapped(cells, respell)
        notes.changed(f"{column.key}.spelling", column.name, _changed(cells, after))
        cells = after
    if rules.sublevels:
        after = _mapped(cells, lambda cell: above(as_text(cell), levels) or cell)
        notes.changed(f"{column.key}.sublevels", column.name, _changed(cells, after))
        cells = after
    return cells


def above(text: str, levels: Mapping[str, object]) -> str | None:
    """Return the level that a text subdivides, such as T1 of T1c; None if there is none.

    The longest level that the text begins with counts, and what follows must be one or two letters, a digit after them,
    or a remark in brackets: T10 is no part of T1.
    """
    if text in levels:
        return None
    starts = [level for level in levels if text.startswith(level)]
    if not starts:
        return None
    level = max(starts, key=len)
    rest = text[len(level) :]
    is_part = _SUBDIVISION.fullmatch(rest) is not None
    if level[-1].isalpha() and rest[0].isalpha():  # IIb is a part of II, and IV none of I
        is_part = _ROMAN.fullmatch(level) is not None and rest.lower() in ("a", "b", "c")
    return level if is_part else None


def _unlimited(cells: "pd.Series[Any]", column: Column, rules: ColumnRules, notes: Notes) -> "pd.Series[Any]":
    def limit(cell: object) -> object:
        match = _LIMIT.fullmatch(cell) if isinstance(cell, str) else None
        if match is None:
            return cell
        return None if rules.limits == "missing" else match["number"]

    after = _mapped(cells, limit)
    notes.changed(f"{column.key}.limits", column.name, _changed(cells, after))
    return after


_UNDECIDED = object()


def _pointed(cells: "pd.Series[Any]", column: Column, rules: ColumnRules, notes: Notes) -> "pd.Series[Any]":
    """Write numbers with a decimal point and without signs between thousands."""
    decimal, thousands = rules.decimal or ".", rules.thousands
    if decimal == thousands:
        decimal = "." if thousands == "," else ","
    grouped = rf"\d{{1,3}}(?:{re.escape(thousands)}\d{{3}})+|" if thousands else ""
    number = re.compile(rf"([-+]?(?:{grouped}\d+))(?:{re.escape(decimal)}(\d*))?(e[-+]?\d+)?", re.IGNORECASE)
    looks = re.compile(r"[-+]?[\d.,' ]*\d[\d.,' ]*(e[-+]?\d+)?", re.IGNORECASE)

    def point(cell: object) -> object:
        if not isinstance(cell, str):
            return cell
        if (match := number.fullmatch(cell)) is None:
            return _UNDECIDED if looks.fullmatch(cell) else cell
        whole = match[1].replace(thousands, "") if thousands else match[1]
        return whole + (f".{match[2]}" if match[2] else "") + (match[3] or "")

    after = _mapped(cells, point)
    undecided = after.map(lambda cell: cell is _UNDECIDED).astype(bool)
    if undecided.any():
        what = f"has {counted(int(undecided.sum()), 'number')} with other signs than the declared decimal and thousands"
        remedy = "correct decimal or thousands under [intake] in site.toml, or the cells"
        notes.undecided(column.where, what, remedy, after.index[undecided])
        after = after.where(~undecided, None)
    key = "decimal" if rules.decimal == "," else "thousands"
    notes.changed(key, column.name, _changed(cells[~undecided], after[~undecided]))
    return after


def _converted(cells: "pd.Series[Any]", column: Column, rules: ColumnRules, notes: Notes) -> "pd.Series[Any]":
    key = f"{column.key}.factor" if rules.unit is None else f"{column.key}.unit"
    if rules.unit is None:
        factor, offset = rules.factor or 1.0, 0.0
    else:
        converted = conversion(rules.unit, column.unit)
        if converted is None:
            asked = f"asks for {column.unit}" if column.unit else "names no unit"
            what = f"is declared in {rules.unit}, and the federation file {asked}"
            remedy = f"write factor = NUMBER in place of unit under [intake] {column.key} in site.toml"
            notes.undecided(column.where, what, remedy, ())
            return cells
        factor, offset = converted

    def convert(cell: object) -> object:
        try:
            return float(cell) * factor + offset  # type: ignore[arg-type]
        except (TypeError, ValueError):
            return cell  # no number, of which the reader will tell

    after = _mapped(cells, convert)
    filled = cells.map(lambda cell: cell is not None).astype(bool)
    changed = 0 if (factor, offset) == (1.0, 0.0) else sum(isinstance(cell, float) for cell in after[filled])
    notes.changed(key, column.name, changed)
    return after
