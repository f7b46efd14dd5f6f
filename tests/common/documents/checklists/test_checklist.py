import json

import pytest

from common.documents.checklists.checklist import (
    AnswerState,
    Checklist,
    Item,
    checklist_json,
    checklist_markdown,
)
from common.documents.documents import CHECKLISTS
from common.documents.facts.fact import FOR_YOU, Fact, Facts, Topic
from common.release.release import ModelRelease

KNOWN = {Topic.MODEL: Fact("Model", ("A network.",)), Topic.CALIBRATION: Fact("Calibration")}


@pytest.mark.parametrize(
    ("topics", "rest", "state", "answer"),
    [
        ((Topic.MODEL,), "", AnswerState.FILLED, "A network."),
        ((Topic.MODEL,), "why", AnswerState.PART, f"A network. Why: {FOR_YOU}."),
        ((Topic.MODEL, Topic.CALIBRATION), "", AnswerState.PART, "A network. Calibration: not measured."),
        ((Topic.CALIBRATION,), "", AnswerState.OPEN, FOR_YOU),
        ((Topic.CALIBRATION,), "why", AnswerState.OPEN, FOR_YOU),
        ((), "", AnswerState.OPEN, FOR_YOU),
    ],
)
def test_an_item_is_filled_as_far_as_the_release_knows(
    topics: tuple[Topic, ...], rest: str, state: AnswerState, answer: str
) -> None:
    item = Item("1", "Asks.", topics, rest)
    assert (item.state(KNOWN), item.answer(KNOWN)) == (state, answer)


def test_what_was_said_is_not_said_again_in_the_markdown(release: ModelRelease, facts: Facts) -> None:
    twice = (Item("1", "First.", (Topic.MODEL,)), Item("2", "Second.", (Topic.MODEL,)))
    checklist = Checklist("LIST", "Somebody.", "", {"Part": twice})
    text = checklist_markdown(checklist, release, facts).decode()
    assert text.count(facts[Topic.MODEL].lines[0]) == 1
    assert "see 1" in text
    answers = json.loads(checklist_json(checklist, release, facts))["items"]
    assert answers[0]["answer"] == answers[1]["answer"]


@pytest.mark.parametrize("name", CHECKLISTS)
def test_counts_are_those_of_the_answers(name: str, release: ModelRelease, facts: Facts) -> None:
    checklist = CHECKLISTS[name]
    data = json.loads(checklist_json(checklist, release, facts))
    answers = [item["answer"] for item in data["items"]]
    assert data["counts"][FOR_YOU] == answers.count(FOR_YOU)
    assert sum(data["counts"].values()) == len(checklist.items)
    assert 0 < data["counts"][FOR_YOU] < len(checklist.items)
    top = checklist_markdown(checklist, release, facts).decode().split("\n\n")[1]
    assert all(str(number) in top for number in data["counts"].values())


@pytest.mark.parametrize("name", CHECKLISTS)
def test_items_have_a_number_each(name: str) -> None:
    numbers = [item.number for item in CHECKLISTS[name].items]
    assert len(set(numbers)) == len(numbers)
