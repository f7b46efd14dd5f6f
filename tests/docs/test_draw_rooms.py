from xml.etree import ElementTree

from docs.draw_rooms import DOCUMENT, SVG, document, picture, reduced
from docs.rooms import FLOORS, floors

AGAIN = "made from other imports or sentences than those of today: `make architecture` makes it again"


def test_the_picture_is_that_of_the_imports() -> None:
    assert SVG.read_text(encoding="utf-8") == picture(), f"{SVG.name} was {AGAIN}"


def test_the_table_is_that_of_the_rooms() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert document(text) == text, f"the table of {DOCUMENT.name} was {AGAIN}"


def test_every_room_is_a_box_with_selectable_text() -> None:
    shown = ElementTree.fromstring(picture()).itertext()
    names = [text.strip() for text in shown if text.strip()]
    for package in FLOORS:
        assert package in names
        for room in (room for rooms in floors(package) for room in rooms):
            assert room in names


def test_an_arrow_that_follows_from_others_is_left_out() -> None:
    pairs = {("a", "b"), ("b", "c"), ("a", "c"), ("a", "d")}
    assert reduced(pairs) == [("a", "b"), ("a", "d"), ("b", "c")]
