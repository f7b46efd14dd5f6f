"""Answer to whether a patient can be predicted, by the tables."""

from enum import StrEnum


class Answer(StrEnum):
    """Answer to whether a patient can be predicted."""

    FINE = "fine"
    LOOK = "look at this"
    NONE = "no prediction"
