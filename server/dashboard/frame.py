"""Frame of the dashboard's pages: links, time of the figures, and the script that renews."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import cache
from importlib import resources
from urllib.parse import quote

from markupsafe import Markup, escape

from common.pages.document import PageSection, document, policy
from common.pages.parts import code
from common.pages.table import TableCell

EVENTS = "/events"


def framed(
    title: str,
    sections: Sequence[PageSection],
    *,
    kind: str,
    mark: str,
    run: str = "",
    notes: Sequence[str | Markup] = (),
) -> str:
    """Write a page that renews itself when the coordinator's folder changes.

    Args:
        title: of the page.
        sections: parts in their order.
        kind: line above the heading.
        mark: of the state that the page shows.
        run: name of the run that the page is about; empty for all.
        notes: parts below the heading.
    """
    links = Markup('<p><a href="/">Overview</a> &#183; <a href="/logs">Logs</a></p>')
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    live = Markup(
        '<p class="quiet" id="live" data-mark="{}" data-events="{}">As of <time id="moment">{}</time>. '
        '<span id="link" role="status"></span></p>'
    ).format(mark, EVENTS + (f"?run={quote(run)}" if run else ""), now)
    return document(
        title, sections, kind=kind, lead=[links, live, *notes], scripts=[_script()], connects=True
    )


def moment(text: str | None) -> str | None:
    """Write a time of the records, ISO 8601 in UTC, for people; None stays None."""
    if not text:
        return None
    try:
        return datetime.fromisoformat(text).astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    except ValueError:
        return text


def with_code(text: str) -> Markup:
    """Write a sentence in which commands stand between backticks."""
    parts = text.split("`")
    return Markup("").join(code(part) if index % 2 else escape(part) for index, part in enumerate(parts))


def shortened(text: str, most: int = 16) -> TableCell | None:
    """Write the start of a hash or key, which the CSV has in full; None for an empty text."""
    return (
        TableCell(code(text if len(text) <= most else f"{text[:most]}\N{HORIZONTAL ELLIPSIS}"), text)
        if text
        else None
    )


def link(address: str, text: str) -> Markup:
    """Write a link to another page of the dashboard."""
    return Markup('<a href="{}">{}</a>').format(address, text)


def page_policy() -> str:
    """Content security policy of our pages as a header, which forbids frames too."""
    scripts = (_text("common.pages", "page.js"), _script())
    return policy(scripts, connects=True) + "; frame-ancestors 'none'"


def strict_policy() -> str:
    """Content security policy of answers that are no page of ours."""
    return "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"


def _script() -> str:
    return _text("server.dashboard", "live.js")


@cache
def _text(package: str, name: str) -> str:
    return (resources.files(package) / name).read_text(encoding="utf-8")
