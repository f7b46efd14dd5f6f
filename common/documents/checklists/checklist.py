"""Reporting checklist: items with answers from a release, or left to people."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from common.documents.facts.fact import FOR_YOU, Facts, Topic
from common.documents.markdown import plain
from common.release.release import ModelRelease


class AnswerState(StrEnum):
    """AnswerState of an answer."""

    FILLED = "filled"
    PART = "filled in part"
    OPEN = FOR_YOU


@dataclass(frozen=True)
class Item:
    """Item of a checklist.

    Attributes:
        number: as published.
        asks: what the item asks, in our words.
        topics: whose facts answer it.
        rest: what these facts leave to people; empty if nothing.
    """

    number: str
    asks: str
    topics: tuple[Topic, ...] = ()
    rest: str = ""

    def state(self, facts: Facts) -> AnswerState:
        """Return how far the facts answer the item."""
        answered = [facts[topic].is_known for topic in self.topics]
        if not any(answered):
            return AnswerState.OPEN
        return AnswerState.FILLED if all(answered) and not self.rest else AnswerState.PART

    def answer(self, facts: Facts, earlier: Mapping[Topic, str] = MappingProxyType({})) -> str:
        """Write the answer; exactly "for you to say" where no fact answers.

        Args:
            facts: about the release.
            earlier: topic -> number of the item that says its facts already.
        """
        if self.state(facts) is AnswerState.OPEN:
            return FOR_YOU
        parts = [
            f"{facts[topic].title}: see {earlier[topic]}."
            if topic in earlier and facts[topic].is_known
            else facts[topic].text
            for topic in self.topics
        ]
        parts += [f"{self.rest[0].upper()}{self.rest[1:]}: {FOR_YOU}."] if self.rest else []
        return " ".join(parts)


@dataclass(frozen=True)
class Checklist:
    """Published checklist.

    Attributes:
        name: of the checklist.
        source: publication.
        note: on its use here.
        sections: title -> items, in the published order.
    """

    name: str
    source: str
    note: str
    sections: Mapping[str, tuple[Item, ...]]

    @property
    def items(self) -> tuple[Item, ...]:
        """All items."""
        return tuple(item for items in self.sections.values() for item in items)

    def counts(self, facts: Facts) -> dict[AnswerState, int]:
        """Count the items by the state of their answers."""
        states = [item.state(facts) for item in self.items]
        return {state: states.count(state) for state in AnswerState}

    def summary(self, facts: Facts) -> str:
        """Say in a sentence how many items are filled."""
        counts = self.counts(facts)
        filled, part, left = (counts[state] for state in AnswerState)
        return f"{filled} of {len(self.items)} items are filled, {part} in part, and {left} are {FOR_YOU}"


def checklist_markdown(checklist: Checklist, release: ModelRelease, facts: Facts) -> bytes:
    """Write a checklist as Markdown."""
    parts = [
        f"# {checklist.name}: {plain(release.version)}",
        f"**{checklist.summary(facts)}.**",
        f"{checklist.source} Items are in our words. {checklist.note}",
    ]
    earlier: dict[Topic, str] = {}
    for title, items in checklist.sections.items():
        parts.append(f"## {title}")
        for item in items:
            parts.append(f"**{item.number}** {item.asks}\n\n> {plain(item.answer(facts, earlier))}")
            earlier = {**dict.fromkeys(item.topics, item.number), **earlier}
    return ("\n\n".join(parts) + "\n").encode()


def checklist_json(checklist: Checklist, release: ModelRelease, facts: Facts) -> bytes:
    """Write a checklist as JSON."""
    counts = checklist.counts(facts)
    data = {
        "format": 1,
        "checklist": checklist.name,
        "source": checklist.source,
        "release": release.version,
        "counts": {state.value: counts[state] for state in AnswerState},
        "items": [
            {
                "section": title,
                "number": item.number,
                "asks": item.asks,
                "state": item.state(facts).value,
                "answer": item.answer(facts),
            }
            for title, items in checklist.sections.items()
            for item in items
        ],
    }
    return json.dumps(data, indent=1, ensure_ascii=False).encode() + b"\n"
