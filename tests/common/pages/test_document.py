import base64
import hashlib
import re
from html.parser import HTMLParser

from markupsafe import Markup

from common.pages.document import PageSection, document, policy
from common.pages.parts import paragraph

VOID = {"meta", "link", "br", "input", "img", "hr"}


class Tree(HTMLParser):
    """Elements of a page with their attributes; every element that was opened is closed."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(page)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def every(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def page(**changes: object) -> str:
    sections = [PageSection(title, [paragraph("text")]) for title in ("One", "Two <b>", "One")]
    return document("Page of <hospital>", sections, kind="Consilium", **changes)  # type: ignore[arg-type]


def test_a_page_has_language_viewport_contents_and_addresses_that_lead_somewhere() -> None:
    tree = Tree(page(language="de"))
    assert tree.every("html")[0]["lang"] == "de"
    assert any(meta.get("name") == "viewport" for meta in tree.every("meta"))
    addresses = [section["id"] for section in tree.every("section")]
    assert len(set(addresses)) == 3
    assert [f"#{address}" for address in addresses] == [link["href"] for link in tree.every("a")][1:]


def test_texts_are_escaped() -> None:
    assert "<hospital>" not in page()
    assert "Two <b>" not in page()
    assert "&lt;i&gt;" in page(footer="<i>")
    assert "<i>" in page(footer=Markup("<i></i>"))


def test_a_short_page_has_no_contents() -> None:
    assert "<nav" not in document("Page", [PageSection("One", [])])


def test_nothing_is_fetched_and_only_the_scripts_of_the_page_run() -> None:
    written = page(scripts=["console.log('mine')"])
    content = next(meta for meta in Tree(written).every("meta") if "http-equiv" in meta)["content"] or ""
    allowed = set(re.findall(r"'sha256-([^']+)'", content))
    scripts = re.findall(r"<script>(.*?)</script>", written, re.DOTALL)
    assert len(scripts) == 2
    assert allowed == {
        base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts
    }
    assert "default-src 'none'" in content
    assert "connect-src" not in content
    assert "connect-src 'self'" in policy([], connects=True)
    assert "unsafe" not in content.replace("style-src 'unsafe-inline'", "")
    assert not re.search(r"(src|href|url)\s*[=(]\s*[\"']?(https?:)?//", written)
    assert "@import" not in written
