"""Pieces of Markdown, in which names of other parties stay plain text."""

import re

from common.documents.facts.fact import Fact

_SIGNS = re.compile(r"[\\*<>|\[\]#]|(?<!\w)_|_(?!\w)")


def plain(text: str) -> str:
    """Write a text so that Markdown shows it as it is; code between backticks stays code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _escaped("`".join(parts).replace("`", "'"))
    return "`".join(part if index % 2 else _escaped(part) for index, part in enumerate(parts))


def _escaped(text: str) -> str:
    return _SIGNS.sub(r"\\\g<0>", text)


def paragraph(fact: Fact) -> str:
    """Write a fact under its title: a sentence beside it, several as a list."""
    title = f"**{plain(fact.title)}.**"
    if len(fact.lines) > 1:
        return "\n".join([title, "", *(f"- {plain(line)}" for line in fact.lines)])
    return f"{title} {plain(fact.lines[0]) if fact.lines else fact.lack}"
