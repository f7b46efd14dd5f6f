import json

from common.documents.facts.fact import FOR_YOU, Facts, Topic
from common.documents.model_card import QUESTIONS, SECTIONS, card_json, card_markdown
from common.release.release import ModelRelease


def test_the_markdown_has_every_section_and_fact(release: ModelRelease, facts: Facts) -> None:
    text = card_markdown(release, facts).decode()
    headings = [line.removeprefix("## ") for line in text.splitlines() if line.startswith("## ")]
    assert headings[:-1] == list(SECTIONS)
    assert all(f"**{fact.title}.**" in text for fact in facts.values())
    assert text.count(f": {FOR_YOU}") == len(QUESTIONS)
    assert "**Calibration.** not measured" in text


def test_the_json_has_all_facts_with_their_data(release: ModelRelease, facts: Facts) -> None:
    card = json.loads(card_json(release, facts))
    assert card["release"] == release.version
    assert list(card["facts"]) == [topic.value for topic in Topic]
    genes = next(one for one in card["facts"]["predictors"]["data"] if one["modality"] == "rna")
    assert len(genes["columns"]) == 12
    assert card["facts"]["calibration"]["known"] is False
