"""Sentence of a report with a code that stays the same when the wording changes."""

from collections.abc import Iterable
from dataclasses import dataclass

from markupsafe import Markup

from common.pages.parts import bullets


@dataclass(frozen=True)
class Statement:
    """Sentence of a report.

    Attributes:
        code: meaning of the sentence for programs, in the page as the attribute `data-statement`.
        text: the sentence for a person.
    """

    code: str
    text: str


def stated(statements: Iterable[Statement], findings: bool = False) -> Markup:
    """Write statements as a list of a page; of findings the first stands out."""
    items = (
        Markup('<span data-statement="{}">{}</span>').format(statement.code, statement.text)
        for statement in statements
    )
    return bullets(items, findings)
