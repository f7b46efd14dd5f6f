"""All facts about a release, by topic."""

from dataclasses import replace

from common.documents.facts.evidence import evidence_facts
from common.documents.facts.fact import Facts, Topic
from common.documents.facts.inputs import input_facts
from common.documents.facts.origin import data_facts, origin_facts
from common.documents.facts.training import training_facts
from common.errors import escaped
from common.release.release import ModelRelease


def facts_of(release: ModelRelease) -> Facts:
    """Collect the facts about a release, on every topic and in the order of topics."""
    parts = (origin_facts, data_facts, input_facts, training_facts, evidence_facts)
    facts = {topic: fact for part in parts for topic, fact in part(release).items()}
    return {topic: replace(facts[topic], lines=tuple(map(escaped, facts[topic].lines))) for topic in Topic}
