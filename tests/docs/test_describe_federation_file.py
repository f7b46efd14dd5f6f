"""Reference page of the federation file: it is current, and no key is undocumented."""

from docs.describe_federation_file import PAGE, page, undocumented


def test_the_page_is_current() -> None:
    assert PAGE.read_text(encoding="utf-8") == page()


def test_every_key_has_a_meaning_an_example_and_advice() -> None:
    assert list(undocumented()) == []
