"""Whole pages of HTML that fetch nothing: contents, themes, print, phone, policy.

The policy lets no script run but the page's own, by their hashes, and no address be opened. What a page shows is
escaped by `markupsafe`: a plain `str` is text, and only `Markup` is HTML.
"""

import base64
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

from markupsafe import Markup

from common.pages.colours import LIGHT, themes
from common.pages.parts import joined, slug

_SHORTEST_CONTENTS = 3
"""Sections from which on a page has a table of contents."""


@dataclass(frozen=True)
class PageSection:
    """Section of a page.

    Attributes:
        title: heading, and entry of the table of contents.
        content: parts of the section.
        address: address within the page; made of the title where it is empty.
    """

    title: str
    content: Sequence[str | Markup]
    address: str = ""


def document(
    title: str,
    sections: Sequence[PageSection],
    *,
    heading: str = "",
    kind: str = "",
    lead: Sequence[str | Markup] = (),
    footer: str | Markup = "",
    language: str = "en",
    scripts: Sequence[str] = (),
    connects: bool = False,
) -> str:
    """Write a page as HTML.

    Args:
        title: of the page, in the tab.
        sections: parts in their order.
        heading: of the page; the title without it.
        kind: line above the heading: program, sort of page, date.
        lead: parts between heading and table of contents.
        footer: last line.
        language: code of the language of the page.
        scripts: further scripts of ours, which run after the page's own.
        connects: whether a script may speak to the server that the page came from.
    """
    addresses = _addresses(sections)
    body = joined(
        Markup(
            '<section id="{}" aria-labelledby="{}-title"><h2 id="{}-title">{}</h2>\n{}\n</section>'
        ).format(address, address, address, section.title, joined(section.content))
        for address, section in zip(addresses, sections, strict=True)
    )
    run = [_file("page.js"), *scripts]
    return str(
        Markup(
            '<!DOCTYPE html>\n<html lang="{}" data-light="{}">\n<head>\n<meta charset="utf-8">\n'
            '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
            '<meta http-equiv="Content-Security-Policy" content="{}">\n'
            '<meta name="referrer" content="no-referrer">\n<meta name="color-scheme" content="light dark">\n'
            "<title>{}</title>\n<style>\n{}\n</style>\n</head>\n<body>\n"
            '<a class="skip" href="#content">To the content</a>\n<header>\n{}<h1>{}</h1>\n{}\n</header>\n'
            '{}<main id="content">\n{}\n</main>\n{}{}\n</body>\n</html>\n'
        ).format(
            language,
            json.dumps(dict(LIGHT)),
            policy(run, connects),
            title,
            Markup(stylesheet()),
            Markup('<p class="kind">{}</p>\n').format(kind) if kind else "",
            heading or title,
            joined(lead),
            _contents(addresses, sections),
            body,
            Markup("<footer>{}</footer>\n").format(footer) if footer else "",
            joined(Markup("<script>{}</script>").format(Markup(script)) for script in run),
        )
    )


def policy(scripts: Sequence[str], connects: bool = False) -> str:
    """Write the content security policy of a page whose scripts are these."""
    hashes = " ".join(
        f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"
        for script in scripts
    )
    parts = ["default-src 'none'", "style-src 'unsafe-inline'", f"script-src {hashes}", "img-src data:"]
    parts += ["connect-src 'self'"] if connects else []
    return "; ".join([*parts, "base-uri 'none'", "form-action 'none'"])


@cache
def stylesheet() -> str:
    """Style sheet of all pages: themes by what the reader's system prefers, and light print."""
    return themes() + _file("page.css")


def _contents(addresses: Sequence[str], sections: Sequence[PageSection]) -> Markup:
    if len(sections) < _SHORTEST_CONTENTS:
        return Markup("")
    entries = joined(
        Markup('<li><a href="#{}">{}</a></li>').format(address, section.title)
        for address, section in zip(addresses, sections, strict=True)
    )
    return Markup('<nav aria-label="Contents"><h2>Contents</h2><ol>{}</ol></nav>\n').format(entries)


def _addresses(sections: Sequence[PageSection]) -> list[str]:
    addresses: list[str] = []
    for section in sections:
        wanted = section.address or slug(section.title)
        number, address = 1, wanted
        while address in addresses:
            number += 1
            address = f"{wanted}-{number}"
        addresses.append(address)
    return addresses


@cache
def _file(name: str) -> str:
    return (resources.files("common.pages") / name).read_text(encoding="utf-8")
