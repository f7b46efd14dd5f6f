import pytest

from common.documents.facts.fact import Fact
from common.documents.markdown import paragraph, plain


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("a_b 10*3/uL", "a_b 10\\*3/uL"),
        ("_a_ <b> [c](d)", "\\_a\\_ \\<b\\> \\[c\\](d)"),
        ("run `x_ <y>` now_", "run `x_ <y>` now\\_"),
        ("one ` alone", "one ' alone"),
    ],
)
def test_a_name_is_shown_as_it_is(text: str, written: str) -> None:
    assert plain(text) == written


def test_one_sentence_stands_beside_its_title_and_several_in_a_list() -> None:
    assert paragraph(Fact("Use", ("Here.",))) == "**Use.** Here."
    assert paragraph(Fact("Use", ("Here.", "There."))).splitlines()[2:] == ["- Here.", "- There."]
    assert paragraph(Fact("Use")) == "**Use.** not measured"
