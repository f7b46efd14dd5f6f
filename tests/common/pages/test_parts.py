from markupsafe import Markup

from common.pages.parts import bullets, code, facts, folded, joined, note, paragraph, slug
from tests.common.pages.test_document import Tree


def test_parts_escape_text_and_keep_markup() -> None:
    parts = [
        paragraph("<x>"),
        paragraph("<x>", quiet=True),
        bullets(["<x>"], findings=True),
        note("<x>", "danger"),
        facts({"<x>": "<x>", "digest": code("<x>")}),
        folded("<x>", "<x>"),
    ]
    written = joined(["<x>", *parts])
    Tree(written)
    assert "<x>" not in written
    assert "<b>kept</b>" in paragraph(Markup("<b>kept</b>"))


def test_no_list_without_items() -> None:
    assert bullets([]) == ""


def test_a_slug_is_an_address_for_any_title() -> None:
    assert slug("C-index, by hospital") == "c-index-by-hospital"
    assert slug("αβγ")
    assert len(slug("word " * 40)) <= 60
