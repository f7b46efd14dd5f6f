"""Sentence of a report with a code that stays the same when the wording changes."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Statement:
    """Sentence of a report.

    Attributes:
        code: meaning of the sentence for programs, in the page as the attribute `data-statement`.
        text: the sentence for a person.
    """

    code: str
    text: str
