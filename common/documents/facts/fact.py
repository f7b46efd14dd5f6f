"""Facts about a release by topic, from which card and checklists are written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from common.release.card import NOT_MEASURED

FOR_YOU = "for you to say"
"""Answer where a release holds none, and people have to give it."""


class Topic(StrEnum):
    """Topic of a fact; the value is its key in JSON."""

    NAME = "name"
    ORIGIN = "origin"
    SOFTWARE = "software"
    USE = "use"
    MAINTENANCE = "maintenance"
    ACCESS = "access"
    HOSPITALS = "hospitals"
    RECORDS = "records"
    PARTICIPATION = "participation"
    SPLIT = "split"
    PREDICTORS = "predictors"
    PREPARATION = "preparation"
    MISSING = "missing"
    INPUT_CHECKS = "input_checks"
    OUTCOMES = "outcomes"
    OUTPUTS = "outputs"
    MODEL = "model"
    KNOWLEDGE = "knowledge"
    TRAINING = "training"
    OVERFITTING = "overfitting"
    IMBALANCE = "imbalance"
    CLUSTERS = "clusters"
    PRIVACY = "privacy"
    DISCRIMINATION = "discrimination"
    LOSS = "validation_loss"
    CALIBRATION = "calibration"
    INTERVALS = "intervals"
    ABSTENTION = "abstention"
    VALIDATION = "validation"
    SUBGROUPS = "subgroups"
    HETEROGENEITY = "heterogeneity"
    NET_BENEFIT = "net_benefit"
    EXPLANATION = "explanation"
    LIMITS = "limits"


@dataclass(frozen=True)
class Fact:
    """Fact about a release.

    Attributes:
        title: of its topic.
        lines: sentences, of which each can stand in a list; none where the release does not know.
        data: the same as plain data, with all figures.
        lack: what stands in the place of lines where there are none.
    """

    title: str
    lines: tuple[str, ...] = ()
    data: Any = None
    lack: str = NOT_MEASURED

    @property
    def is_known(self) -> bool:
        """Whether the release knows."""
        return bool(self.lines)

    @property
    def text(self) -> str:
        """All sentences in a paragraph, or the lack of them under the title."""
        return " ".join(self.lines) or f"{self.title}: {self.lack}."


Facts = Mapping[Topic, Fact]


def joined(sources: Mapping[str, Fact]) -> Fact:
    """Join the facts of several sources on one topic, under the title of the first.

    Args:
        sources: name of the source, by which the data are kept -> fact.
    """
    first = next(iter(sources.values()))
    return Fact(
        first.title,
        tuple(line for fact in sources.values() for line in fact.lines),
        {name: fact.data for name, fact in sources.items() if fact.data is not None} or None,
        first.lack,
    )


def texts(facts: Facts, topics: Iterable[Topic]) -> str:
    """Write the facts of several topics in a paragraph."""
    return " ".join(facts[topic].text for topic in topics)
