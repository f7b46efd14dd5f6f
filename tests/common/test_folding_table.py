import io

import pytest
from rich.console import Console
from rich.text import Text

from common.folding_table import FoldingTable

NAME = "Universitätsklinikum Nordrhein, Department of Oncology"
CELLS = ("1,204", "0.647 (0.544 to 0.713)", "-0.007 (-0.050 to +0.034)")
HEADS = ("Hospital", "Held-out patients", "Own model (95% interval)", "Gain of the federation")


def printed(width: int, name: str = NAME) -> list[str]:
    table = FoldingTable()
    for head in HEADS:
        table.add_column(head, justify="left" if head == HEADS[0] else "right")
    table.add_row(Text(name), *CELLS)
    table.add_row("B", "", "", "", style="bold")
    out = io.StringIO()
    Console(file=out, width=width, highlight=False, markup=False).print(table)
    return out.getvalue().splitlines()


@pytest.mark.parametrize("width", [40, 60, 80, 100, 200])
def test_no_cell_is_cut_at_any_width(width: int) -> None:
    lines = printed(width)
    assert max(map(len, lines)) <= width
    text = " ".join(" ".join(lines).split())
    assert "…" not in text
    assert all(word in text for word in NAME.split())
    for cell in CELLS:
        assert all(part.strip("(") in text for part in cell.split(" ("))


def test_a_wide_terminal_has_a_row_per_name_and_a_narrow_one_a_block() -> None:
    assert any(all(cell in line for cell in (NAME, *CELLS)) for line in printed(200))
    narrow = printed(50)
    assert f"  {HEADS[1]}: {CELLS[0]}" in [line.rstrip() for line in narrow]
    assert not any(CELLS[0] in line and CELLS[1] in line for line in narrow)


def test_names_are_folded_before_rows_are() -> None:
    lines = printed(105)
    row = next(line for line in lines if CELLS[1] in line)
    assert CELLS[2] in row
    assert NAME not in row


def test_intervals_stand_below_their_figures_before_rows_are_folded() -> None:
    lines = printed(80)
    figures = next(line for line in lines if "0.647" in line)
    assert "-0.007" in figures
    assert "0.544" not in figures


def test_an_empty_table_prints() -> None:
    out = io.StringIO()
    Console(file=out, width=20).print(FoldingTable())
    assert not out.getvalue().strip()
