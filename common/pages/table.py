"""Tables of a page, with a caption, scopes of the heads, and saving as CSV."""

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from common.pages.parts import Importance, joined, slug

MISSING = "\N{EN DASH}"
"""Cell without a value."""


@dataclass(frozen=True)
class TableCell:
    """Cell whose value in the CSV is another than its text.

    Attributes:
        text: as a reader sees it.
        value: as the CSV has it, such as a number in full.
    """

    text: str | Markup
    value: str | float | None = None


@dataclass(frozen=True)
class PageTable:
    """Table of a page; the first column names the rows.

    Attributes:
        heads: names of the columns.
        rows: cells by row; None stands for a value that is missing.
        caption: sentence above the table.
        name: name of the CSV's file, without the suffix; None takes the caption's first words.
        words: numbers of columns, from 0 on, that hold words and are set from the left.
        marked: numbers of rows that stand out.
        warned: weight of rows by their numbers.
        total: last row, of sums over the others; empty without one.
    """

    heads: Sequence[str]
    rows: Sequence[Sequence[str | Markup | TableCell | None]]
    caption: str
    name: str | None = None
    words: frozenset[int] = frozenset()
    marked: frozenset[int] = frozenset()
    warned: dict[int, Importance] | None = None
    total: Sequence[TableCell | str | Markup | None] = ()


def table(content: PageTable) -> Markup:
    """Write a table, which scrolls by itself where the screen is too narrow for it.

    Raises:
        ValueError: if a row has another number of cells than there are heads.
    """
    if any(len(row) != len(content.heads) for row in (*content.rows, content.total or content.heads)):
        raise ValueError(f"A row of the table {content.caption!r} has more or fewer cells than heads.")
    name = content.name or slug(" ".join(content.caption.split()[:6]))
    heads = joined(
        Markup('<th scope="col"{}>{}</th>').format(_class(content, column), head)
        for column, head in enumerate(content.heads)
    )
    rows = joined(_row(content, number, row) for number, row in enumerate(content.rows))
    total = Markup("<tfoot>{}</tfoot>").format(_row(content, -1, content.total)) if content.total else ""
    return Markup(
        '<div class="wide numbered" data-table="{}">'
        '<div class="scroll" tabindex="0" role="region" aria-label="{}"><table>'
        "<caption><span>{}</span></caption><thead><tr>{}</tr></thead><tbody>\n{}\n</tbody>{}</table></div></div>"
    ).format(name, content.caption, content.caption, heads, rows, total)


def _row(content: PageTable, number: int, cells: Sequence[str | Markup | TableCell | None]) -> Markup:
    classes = ["marked"] if number in content.marked else []
    classes += [(content.warned or {})[number]] if number in (content.warned or {}) else []
    head = Markup('<tr class="{}">').format(" ".join(classes)) if classes else Markup("<tr>")
    written = [_cell(content, column, cell) for column, cell in enumerate(cells)]
    return head + Markup("").join(written) + Markup("</tr>")


def _cell(content: PageTable, column: int, cell: str | Markup | TableCell | None) -> Markup:
    if not isinstance(cell, TableCell):
        cell = TableCell(MISSING, "") if cell is None else TableCell(cell)
    value = Markup("") if cell.value is None else Markup(' data-value="{}"').format(cell.value)
    start, end = ('<th scope="row"', "</th>") if column == 0 else ("<td", "</td>")
    kind = Markup("") if column == 0 else _class(content, column)
    return Markup(start) + kind + value + Markup(">{}").format(cell.text) + Markup(end)


def _class(content: PageTable, column: int) -> Markup:
    return Markup(' class="words"') if column in content.words else Markup("")
