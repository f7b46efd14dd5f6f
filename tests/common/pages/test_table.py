import pytest

from common.pages.table import MISSING, PageTable, TableCell, table
from tests.common.pages.test_document import Tree


def test_heads_have_scopes_and_cells_are_escaped() -> None:
    written = table(PageTable(("Hospital", "n"), (("<b>A", "1,200"), ("B", None)), "Patients."))
    tree = Tree(written)
    assert [head["scope"] for head in tree.every("th")] == ["col", "col", "row", "row"]
    assert "<b>" not in written
    assert MISSING in written
    assert tree.every("caption")


def test_the_csv_has_the_value_and_its_own_name() -> None:
    cell = TableCell("12%", 0.1234)
    tree = Tree(table(PageTable(("Hospital", "Share"), (("A", cell),), "Shares of all.", name="shares")))
    assert tree.every("td")[0]["data-value"] == "0.1234"
    assert tree.every("div")[0]["data-table"] == "shares"


def test_rows_stand_out_by_class() -> None:
    rows = (("A", "word"), ("B", "word"))
    content = PageTable(
        ("H", "W"), rows, "Words.", words=frozenset({1}), marked=frozenset({0}), warned={1: "danger"}
    )
    tree = Tree(table(content))
    assert [row.get("class") for row in tree.every("tr")] == [None, "marked", "danger"]
    assert [cell["class"] for cell in tree.every("td")] == ["words", "words"]


def test_a_row_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError):
        table(PageTable(("A", "B"), (("only one",),), "Short."))
