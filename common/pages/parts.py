"""Parts of a page that are neither table nor figure: paragraphs, lists, notes, facts."""

import re
from collections.abc import Iterable, Mapping
from typing import Literal

from markupsafe import Markup

Importance = Literal["note", "good", "warning", "danger"]
"""Weight of a note, told by a word and a colour."""

_WORDS: Mapping[Importance, str] = {
    "note": "Note.",
    "good": "Good.",
    "warning": "Warning.",
    "danger": "Stop.",
}


def joined(parts: Iterable[str | Markup]) -> Markup:
    """Join parts of a page; plain text among them is escaped."""
    return Markup("\n").join(parts)


def paragraph(text: str | Markup, quiet: bool = False) -> Markup:
    """Write a paragraph; a quiet one is small and grey."""
    return Markup('<p class="quiet">{}</p>' if quiet else "<p>{}</p>").format(text)


def bullets(items: Iterable[str | Markup], findings: bool = False) -> Markup:
    """Write a list; of findings the first stands out."""
    lines = joined(Markup("<li>{}</li>").format(item) for item in items)
    if not lines:
        return Markup("")
    return Markup('<ul class="findings">{}</ul>' if findings else "<ul>{}</ul>").format(lines)


def facts(pairs: Mapping[str, str | Markup]) -> Markup:
    """Write names with their values as a list of definitions."""
    lines = (Markup("<dt>{}</dt><dd>{}</dd>").format(name, value) for name, value in pairs.items())
    return Markup("<dl>{}</dl>").format(joined(lines))


def note(text: str | Markup, importance: Importance = "note", word: str | None = None) -> Markup:
    """Write a note in a frame.

    Args:
        text: the note.
        importance: colour of the frame, and the word in front.
        word: another word in front.
    """
    front = _WORDS[importance] if word is None else word
    frame = '<div class="note {}" role="note"><p><b>{}</b>{}</p></div>'
    return Markup(frame).format(importance, front, text)


def code(text: str) -> Markup:
    """Write a command, a path or a hash."""
    return Markup("<code>{}</code>").format(text)


def folded(summary: str | Markup, content: str | Markup) -> Markup:
    """Write content behind a summary, which opens it."""
    return Markup("<details><summary>{}</summary>{}</details>").format(summary, content)


def slug(text: str) -> str:
    """Make an address or the name of a file of a title: lower-case letters and digits."""
    plain = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")
    return plain[:60].rstrip("-") or "part"
