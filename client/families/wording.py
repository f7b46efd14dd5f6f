"""Names from a federation file as a person reads them in an approval."""

import textwrap
from collections.abc import Iterable, Iterator

WIDTH = 100
"""Characters of a line that lists names."""


def listed(what: str, names: Iterable[str]) -> Iterator[str]:
    """Lines that list names, indented below what they belong to."""
    indent = " " * 6
    yield from textwrap.wrap(
        f"{what}: {', '.join(names)}",
        WIDTH,
        initial_indent=indent,
        subsequent_indent=indent + "  ",
        break_long_words=False,
        break_on_hyphens=False,
    )


def shown(text: str) -> str:
    """Quote and escape a text of a federation file that is no plain name.

    It could be taken for another name.
    """
    plain = text.isprintable() and text == text.strip() and not set(text) & set(",:;()'\"")
    return text if plain and text else repr(text)
