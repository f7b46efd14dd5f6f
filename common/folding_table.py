"""Tables on a terminal that keep every figure: too wide for it, they become a block per row."""

from textwrap import wrap

from rich.box import SIMPLE_HEAD
from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_NARROWEST_NAME = 18
"""Columns of the terminal that are left to the names of rows, which are folded between words."""


class FoldingTable(Table):
    """Table whose cells are never cut: heads are broken first, then intervals, then rows.

    Cells and heads are texts. A block has the name of the row, and a line for every cell that is not empty.
    """

    def __init__(self) -> None:
        super().__init__(box=SIMPLE_HEAD, collapse_padding=True)

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Render the table, or its blocks where it is wider than the terminal."""
        heads = [_text(console, column.header) for column in self.columns]
        cells = [[_text(console, cell) for cell in column.cells] for column in self.columns]
        broken = [Text("\n".join(head.plain.split()), style=head.style) for head in heads]
        folded = [
            cells[0] if cells else [],
            *([_before_brackets(cell) for cell in column] for column in cells[1:]),
        ]
        for tried, content in ((heads, cells), (broken, cells), (broken, folded)):
            widths = [_width([head, *column]) for head, column in zip(tried, content, strict=False)]
            room = options.max_width - self._between()
            if sum(widths) > room and widths:
                longest = max((cell_len(word) for cell in cells[0] for word in cell.plain.split()), default=0)
                least = max(_width(tried[:1]), longest, min(widths[0], _NARROWEST_NAME))
                widths[0] = max(least, min(widths[0], room - sum(widths[1:])))
            if sum(widths) <= room:
                yield from self._as_table(tried, content, widths).__rich_console__(console, options)
                return
        yield from self._as_blocks(heads, cells)

    def _between(self) -> int:
        """Columns of the terminal beside the cells: edges, separators and padding."""
        return 3 * len(self.columns) + 1

    def _as_table(self, heads: list[Text], cells: list[list[Text]], widths: list[int]) -> Table:
        table = Table(box=SIMPLE_HEAD)
        for number, (column, head) in enumerate(zip(self.columns, heads, strict=True)):
            head = _filled(head, widths[number])
            table.add_column(
                head,
                justify=column.justify,
                no_wrap=number > 0,
                width=widths[number],
                vertical=column.vertical,
            )
        for number, row in enumerate(self.rows):
            table.add_row(*(column[number] for column in cells), style=row.style)
        return table

    def _as_blocks(self, heads: list[Text], cells: list[list[Text]]) -> RenderResult:
        for number, row in enumerate(self.rows):
            yield Text("")
            yield Text(f"{_line(heads[0])}: {_line(cells[0][number])}", style=row.style or "bold")
            for head, column in zip(heads[1:], cells[1:], strict=True):
                if column[number].plain:
                    yield Padding(
                        Text(f"{_line(head)}: {_line(column[number], '; ')}"), (0, 0, 0, 2), expand=False
                    )
        yield Text("")


def _text(console: Console, cell: object) -> Text:
    if isinstance(cell, Text):
        return cell
    return console.render_str(str(cell))


def _filled(head: Text, width: int) -> Text:
    """Break a head into as few lines as the width of its column allows."""
    return Text("\n".join(wrap(head.plain, width, break_long_words=False)), style=head.style)


def _before_brackets(text: Text) -> Text:
    """Break a figure before the interval that stands behind it."""
    return Text(text.plain.replace(" (", "\n("), style=text.style)


def _line(text: Text, between: str = " ") -> str:
    return between.join(text.plain.splitlines())


def _width(texts: list[Text]) -> int:
    return max((cell_len(line) for text in texts for line in text.plain.splitlines()), default=0)
