from common.pages.charts.legend import draw_legend
from common.pages.charts.shapes import WIDTH
from tests.common.pages.test_document import Tree


def test_names_that_do_not_fit_beside_one_another_take_another_row() -> None:
    names = [(number, f"Hospital of the city number {number}") for number in range(3)]
    parts, below = draw_legend(names, 100, lines=True, marked=(0, 2))
    tree = Tree("".join(parts))
    assert len({text["y"] for text in tree.every("text")}) == 3
    assert all(float(text["x"] or 0) < WIDTH for text in tree.every("text"))
    assert len(tree.every("circle")) == len(tree.every("path")) == 1
    assert below > 100 + 2 * 15


def test_no_names_take_no_room() -> None:
    assert draw_legend([], 100, lines=True, marked=()) == ([], 100)
