"""Facts are those of the release, on every topic, and in plain signs."""

import json

from common.documents.facts.fact import Facts, Topic
from common.documents.facts.facts import facts_of
from common.documents.model_card import SECTIONS
from common.release.release import ModelRelease
from tests.common.documents.conftest import Released


def test_every_topic_has_a_fact_and_a_section_of_the_card(facts: Facts) -> None:
    assert list(facts) == list(Topic)
    in_sections = [topic for topics in SECTIONS.values() for topic in topics]
    assert sorted(in_sections) == sorted(Topic)


def test_figures_are_those_of_the_release(release: ModelRelease, facts: Facts) -> None:
    assert facts[Topic.NAME].data["version"] == release.version
    assert facts[Topic.ORIGIN].data["federation_sha256"] == release.agreement.digest
    assert facts[Topic.ORIGIN].data["signer"] == release.signer
    parameters = sum(array.size for array in release.weights.values())
    assert facts[Topic.MODEL].data["parameters"] == parameters
    assert f"{parameters:,}" in facts[Topic.MODEL].text
    assert facts[Topic.RECORDS].data["trained"] == release.card.records
    json.dumps([fact.data for fact in facts.values()], allow_nan=False)


def test_a_sign_that_commands_a_terminal_stays_a_code(released: Released) -> None:
    facts = facts_of(released(hospitals=("one\x1b[2J", "two")))
    assert "\x1b" not in "".join(line for fact in facts.values() for line in fact.lines)
